//! What is written comes back, and nothing else does.

use proptest::prelude::*;

use super::*;

const KEY: [u8; 32] = [7; 32];
const ERA: Era = [3; 16];
const BYTES_MAX: usize = 1 << 20;

fn seal() -> Seal {
    Seal::new(b"a secret of tests")
}

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_hours(500_000)
}

fn deposit(body: impl Into<Bytes>) -> Deposit {
    Deposit {
        body: body.into(),
        usage: Some(Usage {
            prompt_tokens: 3,
            completion_tokens: 5,
            total_tokens: 8,
            cached_tokens: 0,
        }),
        model: ModelId::new("a-lab/a-model"),
        pool: PoolName::new("p"),
        made: now(),
        fresh: Duration::from_mins(5),
        stale_while_revalidate: Duration::from_secs(30),
        stale_if_error: Duration::from_mins(1),
    }
}

fn closed(deposit: &Deposit) -> Vec<u8> {
    seal().close(&KEY, ERA, deposit, 1).unwrap()
}

fn opened(value: Vec<u8>) -> Result<Deposit, Unread> {
    let opened = seal().open(&KEY, value, BYTES_MAX)?;
    opened.at(now(), ERA)
}

/// A body that no compression helps.
fn noise(bytes: usize) -> Vec<u8> {
    let mut noise = vec![0; bytes];
    blake3::Hasher::new().finalize_xof().fill(&mut noise);
    noise
}

#[test]
fn a_long_body_takes_fewer_bytes_and_noise_no_more() {
    let words = "an answer says much in words that it has said before; ".repeat(200);
    let value = closed(&deposit(words.clone()));
    assert!(value.len() < words.len() / 10, "{}", value.len());
    let short = closed(&deposit("x".repeat(COMPRESSED_MIN - 1)));
    assert!(short.len() >= COMPRESSED_MIN, "{}", short.len());
    let value = closed(&deposit(noise(BYTES_MAX)));
    assert!(value.len() <= length_max(BYTES_MAX), "{}", value.len());
    assert_eq!(opened(value), Ok(deposit(noise(BYTES_MAX))));
}

#[test]
fn nothing_of_it_can_be_read_there() {
    let body = "what was answered";
    let value = closed(&deposit(body));
    let has = |text: &[u8]| value.windows(text.len()).any(|part| part == text);
    assert!(has(b"spafe"));
    assert!(!has(body.as_bytes()) && !has(b"a-model") && !has(&KEY) && !has(&ERA));
    // Twice the same is another value each time.
    let again = seal().close(&KEY, ERA, &deposit(body), 2).unwrap();
    assert_ne!(value[CLEAR..], again[CLEAR..]);
}

#[test]
fn who_has_another_secret_or_key_reads_nothing() {
    let value = closed(&deposit("an answer"));
    let other = Seal::new(b"another secret");
    assert_eq!(
        other.open(&KEY, value.clone(), BYTES_MAX),
        Err(Unread::Garbage)
    );
    let neighbour = seal().open(&[8; 32], value.clone(), BYTES_MAX);
    assert_eq!(neighbour, Err(Unread::Garbage));
    assert_eq!(opened(value), Ok(deposit("an answer")));
}

#[test]
fn a_value_of_another_version_is_none() {
    let mut value = closed(&deposit("an answer"));
    value[5] += 1;
    assert_eq!(opened(value), Err(Unread::Garbage));
}

#[test]
fn a_longer_body_than_is_allowed_here_is_none() {
    let value = closed(&deposit("x".repeat(100_000)));
    let opened = seal().open(&KEY, value.clone(), 99_999);
    assert_eq!(opened, Err(Unread::Garbage));
    assert!(seal().open(&KEY, value, 100_000).is_ok());
}

/// Somebody with our secret could write what expands without end; it takes no more than it
/// says, and says no more than is allowed.
#[test]
fn a_body_that_is_longer_than_it_says_is_none() {
    let mut plain = vec![0; CLEAR];
    write(&mut plain, ERA, &deposit("x".repeat(1 << 16))).unwrap();
    let length = CLEAR + NUMBERS - 8;
    assert_eq!(plain[length..length + 4], (1_u32 << 16).to_le_bytes());
    for said in [(1 << 16) - 1, (1 << 16) + 1, 0, u32::MAX] {
        plain[length..length + 4].copy_from_slice(&u32::to_le_bytes(said));
        let plain = Bytes::copy_from_slice(&plain[CLEAR..]);
        assert_eq!(read(plain, BYTES_MAX), None, "{said}");
    }
}

#[test]
fn an_answer_of_another_era_is_removed() {
    let value = closed(&deposit("an answer"));
    let opened = seal().open(&KEY, value, BYTES_MAX).unwrap();
    assert_eq!(opened.at(now(), [4; 16]), Err(Unread::Removed));
}

#[test]
fn its_time_is_told_by_the_clock_and_a_wrong_one_is_found() {
    #[track_caller]
    fn check(made: SystemTime, expected: Result<(), Unread>) {
        let deposit = Deposit {
            made,
            ..deposit("an answer")
        };
        assert_eq!(opened(closed(&deposit)).map(|_| ()), expected);
    }
    let second = Duration::from_secs(1);
    let lifetime = Duration::from_mins(6);
    check(now(), Ok(()));
    check(now() - lifetime + second, Ok(()));
    check(now() - lifetime, Err(Unread::Over));
    check(SystemTime::UNIX_EPOCH, Err(Unread::Over));
    check(now() + SKEW_MAX, Ok(()));
    check(now() + SKEW_MAX + second, Err(Unread::Ahead));
    // What is a little ahead is new.
    let ahead = Deposit {
        made: now() + SKEW_MAX,
        ..deposit("an answer")
    };
    assert_eq!(ahead.age(now()), Duration::ZERO);
    assert_eq!(ahead.left(now()), lifetime);
}

#[test]
fn what_has_no_room_is_not_written() {
    let long = "x".repeat(NAMES_MAX);
    let deposit = Deposit {
        model: ModelId::new(&long),
        ..deposit("an answer")
    };
    assert_eq!(seal().close(&KEY, ERA, &deposit, 1), None);
    let before = Deposit {
        made: SystemTime::UNIX_EPOCH - Duration::from_secs(1),
        ..self::deposit("an answer")
    };
    assert_eq!(seal().close(&KEY, ERA, &before, 1), None);
}

fn any_deposit() -> impl Strategy<Value = Deposit> {
    // Long and short, with and without a pattern.
    let body = (prop::collection::vec(any::<u8>(), 0..100), 0..100_usize);
    let body = body.prop_map(|(part, times)| part.repeat(times));
    let usage = prop::option::of(any::<[u64; 3]>());
    let spans = prop::array::uniform3(0..u64::from(u32::MAX));
    (body, usage, "[a-zé/]{0,40}", "[a-z]{0,9}", spans).prop_map(
        |(body, usage, model, pool, spans)| {
            let [fresh, stale_while_revalidate, stale_if_error] = spans.map(Duration::from_millis);
            Deposit {
                body: body.into(),
                usage: usage.map(|[prompt_tokens, completion_tokens, total_tokens]| Usage {
                    prompt_tokens,
                    completion_tokens,
                    total_tokens,
                    cached_tokens: 0,
                }),
                model: ModelId::new(&model),
                pool: PoolName::new(&pool),
                made: now(),
                fresh: fresh + Duration::from_millis(1),
                stale_while_revalidate,
                stale_if_error,
            }
        },
    )
}

proptest! {
    #[test]
    fn what_is_written_comes_back(
        deposit in any_deposit(),
        key in any::<[u8; 32]>(),
        era in any::<Era>(),
        salt in any::<u128>(),
    ) {
        let value = seal().close(&key, era, &deposit, salt).unwrap();
        prop_assert!(value.len() <= length_max(deposit.body.len()));
        let opened = seal().open(&key, value, deposit.body.len()).unwrap();
        prop_assert_eq!(opened.at(now(), era), Ok(deposit));
    }

    #[test]
    fn whatever_is_changed_or_cut_is_no_answer(
        deposit in any_deposit(),
        at in any::<prop::sample::Index>(),
        bit in 0..8_u8,
    ) {
        let value = closed(&deposit);
        let at = at.index(value.len());
        let mut changed = value.clone();
        changed[at] ^= 1 << bit;
        prop_assert_eq!(opened(changed), Err(Unread::Garbage));
        prop_assert_eq!(opened(value[..at].to_vec()), Err(Unread::Garbage));
        let mut longer = value;
        longer.push(0);
        prop_assert_eq!(opened(longer), Err(Unread::Garbage));
    }

    #[test]
    fn bytes_by_chance_are_no_answer(value in prop::collection::vec(any::<u8>(), 0..2_000)) {
        prop_assert_eq!(opened(value.clone()), Err(Unread::Garbage));
        let mut begun = MAGIC.to_vec();
        begun.extend(value);
        prop_assert_eq!(opened(begun), Err(Unread::Garbage));
    }

    /// Also where it was sealed with our secret.
    #[test]
    fn nothing_that_is_read_is_a_reason_to_panic(
        plain in prop::collection::vec(any::<u8>(), 0..500),
    ) {
        let _ = read(Bytes::from(plain), BYTES_MAX);
    }
}
