//! What is said to Redis, and what does it answer?
//!
//! Three scripts, known there by their hash, and sent whole to a server that does not know
//! them. What they are asked with are whole numbers. A window of `count` in `per` is full
//! of moments: each of a request's costs moves the time at which it is whole again by
//! `per / count`, and a script's numbers hold whole ones up to 2⁵³ exactly. So a moment is
//! microseconds and `count`-ths of one, and four thousand million a millisecond are
//! counted as exactly as one a month.

use std::time::Duration;

use redis::{Cmd, Value};

use super::settlement::Correction;
use super::{Level, Receipt, Told, Window};
use crate::config::limits::Window as Allowed;

/// How long a process that says nothing is taken to be there.
const PRESENT_MS: i64 = 15_000;
/// What stands for an address is kept no longer than a day.
const PERSONAL_MS: i64 = 24 * 3600 * 1000;
/// Anything else is kept for as long as it says something.
const KEPT_MS: i64 = i64::MAX >> 12;
/// No moment is further away than 71 years: with the present it stays below 2⁵³.
const LONGEST_US: u128 = 1 << 51;
/// Twice as many parts stay below 2⁵³, too.
const PARTS_MAX: u64 = 1 << 51;

/// The scripts, and where they find what.
#[derive(Debug)]
pub(super) struct Scripts {
    admit: Code,
    settle: Code,
    beat: Code,
    /// What every key begins with: in a cluster, what stands in braces decides which node
    /// has it.
    prefix: String,
}

/// A script.
#[derive(Debug)]
pub(super) struct Code {
    text: &'static str,
    hash: String,
}

/// A script with what it is asked with.
#[derive(Debug)]
pub(super) struct Question<'a> {
    code: &'a Code,
    keys: Vec<String>,
    word: Option<&'a [u8]>,
    numbers: Vec<i64>,
}

/// How far a cost moves a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Step {
    micros: i64,
    /// Of a microsecond, in parts of which there are `parts` in one.
    part: i64,
}

impl Scripts {
    /// Keys begin with this tag in braces.
    pub(super) fn new(hash_tag: &str) -> Self {
        Self {
            admit: Code::new(concat!(
                include_str!("window.lua"),
                include_str!("admit.lua")
            )),
            settle: Code::new(concat!(
                include_str!("window.lua"),
                include_str!("settle.lua")
            )),
            beat: Code::new(include_str!("beat.lua")),
            prefix: format!("{{{hash_tag}}}:"),
        }
    }

    /// May a request be admitted that takes this of these windows?
    pub(super) fn admit(&self, windows: &[Window]) -> Question<'_> {
        let mut numbers = Vec::with_capacity(8 * windows.len());
        for window in windows {
            let all = window.all();
            let burst = window.step(all);
            let cost = window.step(all.min(window.cost.into()));
            numbers.extend([window.parts(), burst.micros, burst.part]);
            numbers.extend([cost.micros, cost.part]);
            numbers.extend([window.kept_ms(), i64::from(window.shadow)]);
            numbers.push(window.period_us());
        }
        self.question(&self.admit, windows.iter(), numbers)
    }

    /// This is what requests cost beside what they had taken.
    pub(super) fn settle(&self, corrections: &[Correction]) -> Question<'_> {
        let mut numbers = Vec::with_capacity(9 * corrections.len());
        for correction in corrections {
            let Correction {
                window,
                receipt,
                more,
            } = correction;
            let step = window.step(more.unsigned_abs().into());
            numbers.extend([window.parts(), step.micros, step.part]);
            numbers.extend([window.kept_ms(), more.signum(), window.period_us()]);
            numbers.extend([receipt.moment_us, receipt.begun_us, receipt.back_us]);
        }
        let windows = corrections.iter().map(|correction| &correction.window);
        self.question(&self.settle, windows, numbers)
    }

    /// This process is there; who else is?
    pub(super) fn beat<'a>(&'a self, process: &'a str) -> Question<'a> {
        Question {
            code: &self.beat,
            keys: vec![self.processes()],
            word: Some(process.as_bytes()),
            numbers: vec![PRESENT_MS],
        }
    }

    /// This process is not there any more.
    pub(super) fn leave(&self, process: &str) -> Cmd {
        let mut command = redis::cmd("ZREM");
        command.arg(self.processes()).arg(process);
        command
    }

    /// Nothing was ever had of these.
    pub(super) fn forget(&self, keys: &[u128]) -> Cmd {
        let mut command = redis::cmd("DEL");
        for key in keys {
            command.arg(self.key(*key));
        }
        command
    }

    fn key(&self, key: u128) -> String {
        format!("{}{key:032x}", self.prefix)
    }

    fn processes(&self) -> String {
        format!("{}replicas", self.prefix)
    }

    fn question<'a, 'w>(
        &'a self,
        code: &'a Code,
        windows: impl Iterator<Item = &'w Window>,
        numbers: Vec<i64>,
    ) -> Question<'a> {
        Question {
            code,
            keys: windows.map(|window| self.key(window.key)).collect(),
            word: None,
            numbers,
        }
    }
}

impl Code {
    pub(super) fn new(text: &'static str) -> Self {
        Self {
            text,
            hash: redis::Script::new(text).get_hash().to_owned(),
        }
    }

    /// What is asked of one key with one word and these numbers.
    pub(super) fn question<'a>(
        &'a self,
        key: String,
        word: &'a [u8],
        numbers: Vec<i64>,
    ) -> Question<'a> {
        Question {
            code: self,
            keys: vec![key],
            word: Some(word),
            numbers,
        }
    }
}

impl Question<'_> {
    /// The script by its hash, for a server that knows it.
    pub(super) fn short(&self) -> Cmd {
        self.command("EVALSHA", &self.code.hash)
    }

    /// The script itself; the server knows it from then on.
    pub(super) fn whole(&self) -> Cmd {
        self.command("EVAL", self.code.text)
    }

    fn command(&self, name: &str, script: &str) -> Cmd {
        let mut command = redis::cmd(name);
        command.arg(script).arg(self.keys.len()).arg(&self.keys);
        if let Some(word) = self.word {
            command.arg(word);
        }
        for number in &self.numbers {
            command.arg(*number);
        }
        command
    }
}

impl Window {
    /// How many in `per`, which is as many parts as a microsecond has.
    fn parts(&self) -> i64 {
        if self.calendar {
            // The same however much is allowed: what was used is that when more is.
            return i64::try_from(Allowed::CALENDAR_MAX).unwrap_or(i64::MAX);
        }
        let all = self.count.saturating_mul(u64::from(self.times));
        i64::try_from(all.clamp(1, PARTS_MAX)).unwrap_or(i64::MAX)
    }

    /// How many at once.
    fn all(&self) -> u128 {
        let all = u128::from(self.burst) * u128::from(self.times);
        if self.calendar {
            all.min(Allowed::CALENDAR_MAX.into())
        } else {
            all
        }
    }

    /// How far so many move it: `many · per / count`, exactly.
    fn step(&self, many: u128) -> Step {
        let parts = u128::from(self.parts().unsigned_abs());
        // Below 2¹²⁸: 2⁶⁴ of 31 days, which are less than 2⁴².
        let micros = many.saturating_mul(self.per.as_micros());
        let whole = micros / parts;
        let (whole, part) = if whole < LONGEST_US {
            (whole, micros % parts)
        } else {
            (LONGEST_US, 0)
        };
        Step {
            micros: i64::try_from(whole).unwrap_or(i64::MAX),
            part: i64::try_from(part).unwrap_or(i64::MAX),
        }
    }

    /// Its span of the calendar; 0: it has none.
    fn period_us(&self) -> i64 {
        let per = if self.calendar {
            self.per
        } else {
            Duration::ZERO
        };
        i64::try_from(per.as_micros()).unwrap_or(i64::MAX)
    }

    fn kept_ms(&self) -> i64 {
        if self.personal { PERSONAL_MS } else { KEPT_MS }
    }
}

/// What the admission of so many windows was answered with; `None`: with something else.
pub(super) fn told(answer: &Value, windows: usize) -> Option<Told> {
    let Value::Array(answer) = answer else {
        return None;
    };
    let (admitted, levels) = answer.split_first()?;
    let admitted = number(admitted)? == 1;
    let levels: Option<Vec<Level>> = levels.chunks(5).map(level).collect();
    let windows_told = levels.filter(|levels| levels.len() == windows)?;
    Some(Told {
        admitted,
        windows: windows_told,
    })
}

/// Whether it was done; `None`: something else was said.
pub(super) fn done(answer: &Value) -> Option<bool> {
    number(answer).map(|number| number == 1)
}

/// How many processes there are; `None`: something else was said.
pub(super) fn processes(answer: &Value) -> Option<u32> {
    u32::try_from(number(answer)?).ok()
}

/// How many keys are no longer there; `None`: something else was said.
pub(super) fn forgotten(answer: &Value) -> Option<u64> {
    number(answer)
}

fn level(told: &[Value]) -> Option<Level> {
    let [wait, debt, moment, begun, back] = told else {
        return None;
    };
    let micros = |value| i64::try_from(number(value)?).ok();
    Some(Level {
        wait: Duration::from_micros(number(wait)?),
        debt: Duration::from_micros(number(debt)?),
        receipt: Receipt {
            moment_us: micros(moment)?,
            begun_us: micros(begun)?,
            back_us: micros(back)?,
        },
    })
}

fn number(value: &Value) -> Option<u64> {
    match value {
        Value::Int(number) => u64::try_from(*number).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const WINDOW: Window = Window {
        key: 0xAB,
        count: 60,
        per: Duration::from_mins(1),
        burst: 10,
        times: 1,
        calendar: false,
        cost: 1,
        shadow: false,
        personal: false,
    };

    fn arguments(command: &Cmd) -> Vec<String> {
        let all = command.args_iter().map(|argument| match argument {
            redis::Arg::Simple(bytes) => String::from_utf8(bytes.to_vec()).unwrap(),
            _ => String::new(),
        });
        all.collect()
    }

    #[test]
    fn a_question_is_a_hash_keys_and_whole_numbers() {
        let scripts = Scripts::new("spafe");
        let windows = [
            WINDOW,
            Window {
                count: 7,
                cost: 3,
                shadow: true,
                calendar: true,
                personal: true,
                ..WINDOW
            },
        ];
        let question = scripts.admit(&windows);
        let key = "{spafe}:000000000000000000000000000000ab";
        let numbers = "60 10000000 0 1000000 0 2251799813685247 0 0 \
                       1000000000000000 0 600000000 0 180000000 86400000 1 60000000";
        let said = arguments(&question.short());
        assert_eq!(said[..2], ["EVALSHA", &scripts.admit.hash]);
        assert_eq!(said[2..5], ["2", key, key]);
        assert_eq!(said[5..].join(" "), numbers);
        let whole = &arguments(&question.whole())[1];
        assert!(whole.ends_with(include_str!("admit.lua")));
        assert!(whole.starts_with(include_str!("window.lua")));
    }

    #[test]
    fn a_cost_over_the_burst_is_all_of_it() {
        let all = WINDOW.step(10);
        let scripts = Scripts::new("spafe");
        let question = scripts
            .admit(&[Window {
                cost: u64::MAX,
                ..WINDOW
            }])
            .numbers;
        assert_eq!(question[3], all.micros);
    }

    #[test]
    fn an_answer_is_told_or_garbage() {
        let answer =
            |numbers: &[i64]| Value::Array(numbers.iter().copied().map(Value::Int).collect());
        let told_by = |numbers: &[i64]| told(&answer(numbers), 2);
        let level = |wait, debt, moment_us| Level {
            wait: Duration::from_micros(wait),
            debt: Duration::from_micros(debt),
            receipt: Receipt {
                moment_us,
                begun_us: 2,
                back_us: 1,
            },
        };
        let windows = vec![level(0, 5, 3), level(7, 9, 4)];
        let admitted = false;
        let whole = [0, 0, 5, 3, 2, 1, 7, 9, 4, 2, 1];
        assert_eq!(told_by(&whole), Some(Told { admitted, windows }));
        for length in 0..whole.len() {
            assert_eq!(told_by(&whole[..length]), None, "{length} numbers");
            let mut garbage = whole;
            garbage[length] = -5;
            let is_told = told_by(&garbage).is_some();
            assert!(!is_told, "{garbage:?}");
        }
        assert_eq!(told(&Value::Okay, 0), None);
        assert_eq!(processes(&Value::Int(3)), Some(3));
        assert_eq!(processes(&Value::Nil), None);
    }

    proptest! {
        /// Whatever is configured, the scripts' numbers stay where they are exact.
        #[test]
        fn steps_are_exact_and_below_two_to_the_53(
            count in 1..=u64::from(u32::MAX),
            per_ms in 1..=31 * 24 * 3600 * 1000_u64,
            times in 1..=u32::MAX,
            many in 0..=u64::MAX,
        ) {
            let window = Window { count, times, per: Duration::from_millis(per_ms), ..WINDOW };
            let Step { micros, part } = window.step(many.into());
            let (parts, micros, part) = (window.parts(), i128::from(micros), i128::from(part));
            prop_assert!(part < parts.into() && 2 * i128::from(parts) <= 1 << 53);
            // The year 2100, a debt of 71 years, and another one.
            prop_assert!(4_102_444_800_000_000 + 2 * micros < 1 << 53);
            if micros < 1 << 51 {
                let exact = u128::from(many) * u128::from(per_ms) * 1000;
                prop_assert_eq!((micros * i128::from(parts) + part).unsigned_abs(), exact);
            }
        }
    }
}
