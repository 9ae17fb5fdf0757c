//! Is what is hashed the canonical form, however long and deep its values are?

use proptest::prelude::*;
use serde_json::Value;

use super::super::canonical::Canonical;
use super::super::stage::Stage;

/// What the hashes of these tests are for.
static DOMAIN: [u8; blake3::KEY_LEN] = [7; blake3::KEY_LEN];

/// How a value is written: with which white space, and its members in which order.
struct Pen<'a> {
    space: &'a str,
    /// Chance, for the order; `None`: that of the keys.
    chance: Option<u64>,
    text: String,
}

impl Pen<'_> {
    fn write(&mut self, value: &Value) {
        match value {
            Value::Array(elements) => {
                self.all('[', elements.iter().map(|element| (None, element)));
                self.text.push(']');
            }
            Value::Object(members) => {
                let mut members: Vec<_> = members.iter().collect();
                members.sort_by_key(|(key, _)| key.as_bytes());
                for last in (1..members.len()).rev() {
                    members.swap(last, self.any_up_to(last));
                }
                self.all(
                    '{',
                    members.into_iter().map(|(key, value)| (Some(key), value)),
                );
                self.text.push('}');
            }
            scalar => self.text.push_str(&scalar.to_string()),
        }
    }

    fn all<'v>(&mut self, open: char, of: impl Iterator<Item = (Option<&'v String>, &'v Value)>) {
        self.text.push(open);
        for (at, (key, value)) in of.enumerate() {
            self.text.push_str(if at > 0 { "," } else { "" });
            self.text.push_str(self.space);
            if let Some(key) = key {
                self.write(&Value::from(key.as_str()));
                self.text.push_str(self.space);
                self.text.push(':');
                self.text.push_str(self.space);
            }
            self.write(value);
            self.text.push_str(self.space);
        }
    }

    fn any_up_to(&mut self, last: usize) -> usize {
        let Some(chance) = &mut self.chance else {
            return last;
        };
        *chance = chance
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        usize::try_from(*chance >> 33).unwrap() % (last + 1)
    }
}

fn written(value: &Value, space: &str, chance: Option<u64>) -> String {
    let mut pen = Pen {
        space,
        chance,
        text: String::new(),
    };
    pen.write(value);
    pen.text
}

/// Values short and long, and around the length from which their ends are noted.
fn any_value() -> impl Strategy<Value = Value> {
    let text = prop_oneof![
        3 => ".{0,8}",
        2 => "[a-z\"\\\\\n]{20,40}",
        1 => "[a-z \"\\\\\n\u{e9}]{60,300}",
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        text.clone().prop_map(Value::from),
    ];
    leaf.prop_recursive(8, 96, 6, move |inner| {
        let key = prop_oneof![4 => "[a-c]{0,2}", 1 => "[a-c]{30,40}", 1 => ".{0,3}"];
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            proptest::collection::btree_map(key, inner, 0..6)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_hashed_is_the_canonical_form(
        value in any_value(),
        chance in any::<u64>(),
        space in "[ \n]{0,2}",
    ) {
        let body = format!("{{\"b\":0 , \"a\":{}}}", written(&value, &space, Some(chance)));
        let mut canonical = Canonical::of(body.as_bytes()).unwrap();
        let mut stage = Stage::new(&DOMAIN, 0);
        for member in canonical.top() {
            canonical.put(&member, &mut stage).unwrap();
        }
        let expected = format!("\"a\":{}\"b\":0", written(&value, "", None));
        let hash = blake3::keyed_hash(&DOMAIN, expected.as_bytes());
        prop_assert_eq!(stage.finish(), (expected.len() as u64, hash), "{} {}", body, expected);
    }

    #[test]
    fn nothing_that_comes_makes_it_panic(body in "[\\[\\]{}:,\"\\\\ a1]{0,64}") {
        let mut stage = Stage::new(&DOMAIN, 0);
        if let Some(mut canonical) = Canonical::of(body.as_bytes()) {
            for member in canonical.top() {
                if canonical.put(&member, &mut stage).is_none() {
                    break;
                }
            }
        }
    }
}
