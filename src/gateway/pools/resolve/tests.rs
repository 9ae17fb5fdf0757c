//! Which addresses of an answer are used?

use super::ask::Families;
use super::*;

fn name() -> Name {
    Name {
        host: "up.test".to_owned(),
        port: 80,
        located: Arc::default(),
    }
}

fn answer(addresses: &[&str]) -> Answer {
    Answer {
        addresses: addresses
            .iter()
            .map(|address| address.parse().unwrap())
            .collect(),
        good_for: Duration::from_secs(9),
        unanswered: Families::default(),
    }
}

fn used(answer: Answer, known: &[&str]) -> Vec<String> {
    let known: Vec<SocketAddr> = known
        .iter()
        .map(|address| SocketAddr::new(address.parse().unwrap(), 80))
        .collect();
    let found = addresses(answer, &name(), &known).unwrap();
    let found = found.addresses.iter();
    found.map(|address| address.ip().to_string()).collect()
}

#[test]
fn another_order_is_no_change() {
    let expected = ["127.0.0.1", "127.0.0.2"];
    assert_eq!(
        used(answer(&["127.0.0.2", "127.0.0.1", "127.0.0.2"]), &[]),
        expected
    );
    assert_eq!(used(answer(&["127.0.0.1", "127.0.0.2"]), &[]), expected);
}

#[test]
fn what_is_known_of_a_family_stays_while_nobody_answers_for_it() {
    let mut half = answer(&["127.0.0.2"]);
    half.unanswered.v6 = true;
    // Of the same family the new one counts.
    assert_eq!(used(half, &["127.0.0.1"]), ["127.0.0.2"]);
    let mut half = answer(&[]);
    half.unanswered.v4 = true;
    half.addresses.push("::1".parse().unwrap());
    let both = used(half, &["127.0.0.1"]);
    assert!(both.contains(&"127.0.0.1".to_owned()), "{both:?}");
}

#[test]
fn a_name_with_too_many_addresses_is_used_in_part() {
    let many: Vec<String> = (1..=100).map(|last| format!("127.0.0.{last}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let found = addresses(answer(&many), &name(), &[]).unwrap();
    assert_eq!((found.addresses.len(), found.ignored), (64, 36));
    assert!(addresses(answer(&[]), &name(), &[]).is_err());
}
