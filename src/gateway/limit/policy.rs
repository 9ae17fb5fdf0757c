//! Which limits concern a request?
//!
//! `[[limits]]` and the limits of `[[keys]]`, compiled once: which of them concern a caller
//! with or without a key and a model is looked up, and not searched for. A limit's counts are
//! known by its name and their span, so they are the same ones after a reload, whatever else has
//! changed. In another span they mean something else: who has used up a day has not used up a minute.

use std::collections::HashMap;
use std::sync::Arc;

use super::gcra::Rate;
use super::{Cost, Kind};
use crate::config::Config;
use crate::config::limits::{Allowance, By, Callers, Limit, Scope, Window};
use crate::gateway::client::Client;
use crate::money::Usd;
use crate::names::{KeyName, LimitName, ModelId};

/// How much may be asked for: `[[limits]]` and the limits of `[[keys]]`, compiled.
#[derive(Debug)]
pub struct Limits {
    /// Those that need no model to be asked.
    early: Concerned,
    models: HashMap<ModelId, ModelLimits>,
    keys: HashMap<KeyName, Arc<Rule>>,
    /// What a request costs of which only the head is known.
    pub likely: Cost,
    /// Whether any of them is of tokens, or of what those cost.
    pub count_tokens: bool,
}

/// Limits by whether a caller has a key.
#[derive(Debug, Default)]
struct Concerned {
    anonymous: Vec<Arc<Rule>>,
    keyed: Vec<Arc<Rule>>,
}

/// What concerns requests for one model.
#[derive(Debug)]
struct ModelLimits {
    number: u64,
    rules: Concerned,
}

/// One limit.
#[derive(Debug)]
pub struct Rule {
    /// What messages, logs and metrics call it. A key's own is `key:` and the key's name, as no
    /// other can be called.
    pub name: LimitName,
    /// What it counts apart.
    pub by: By,
    /// Whether it can only be asked once the model is known.
    pub needs_model: bool,
    /// Whether all replicas count together.
    pub is_shared: bool,
    /// Whether it refuses nobody.
    pub shadow: bool,
    /// Of requests, of tokens and of money.
    pub windows: Vec<RuleWindow>,
    /// Requests in flight.
    pub concurrent: Option<Room>,
    /// Streams in flight.
    pub streams: Option<Room>,
}

/// A window of a limit.
#[derive(Debug)]
pub struct RuleWindow {
    /// Requests, tokens or money.
    pub kind: Kind,
    /// Tells it from every other limit, kind and span, the same whenever it is made.
    pub number: u64,
    /// How fast it refills.
    pub rate: Rate,
    /// As it is configured.
    pub window: Window,
}

/// A bound of a limit on what is in flight.
#[derive(Debug, Clone, Copy)]
pub struct Room {
    /// Tells it from every other limit and kind, the same whenever it is made.
    pub number: u64,
    /// How many, ≥ 1.
    pub max: u32,
}

/// Limits that concern a request, and the number of its model.
#[derive(Debug, Clone, Copy)]
pub struct Concern<'a> {
    rules: &'a [Arc<Rule>],
    own: Option<&'a Rule>,
    /// Tells the model from every other, the same whenever it is asked; 0 where it is not known.
    pub model: u64,
}

impl Limits {
    /// Compiles the limits of a configuration.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        let rules: Vec<(Arc<Rule>, &Limit)> = config
            .limits
            .iter()
            .map(|limit| (Arc::new(Rule::new(limit)), limit))
            .collect();
        let models = config.models.iter().map(|model| {
            let concerned = rules
                .iter()
                .filter(|(_, limit)| limit.concerns(model.id.as_str()));
            let limits = ModelLimits {
                number: number(&["model", model.id.as_str()]),
                rules: Concerned::of(concerned),
            };
            (model.id.clone(), limits)
        });
        let owned = config.keys.iter().filter_map(|key| {
            let rule = Rule::of_key(&key.name, &key.allowance)?;
            Some((key.name.clone(), Arc::new(rule)))
        });
        let of_keys = config.keys.iter().map(|key| &key.allowance);
        let allowances = config.limits.iter().map(|limit| &limit.allowance);
        Self {
            early: Concerned::of(rules.iter().filter(|(rule, _)| !rule.needs_model)),
            models: models.collect(),
            keys: owned.collect(),
            likely: Cost {
                requests: 1,
                tokens: u64::from(config.limiter.output_tokens),
                // It depends on the model, which is not known yet.
                usd: Usd::ZERO,
            },
            count_tokens: allowances
                .chain(of_keys)
                .any(|allowance| allowance.tokens.is_some() || allowance.cost.is_some()),
        }
    }

    /// Those that concern a caller, whatever it will ask for.
    #[must_use]
    pub fn early(&self, client: &Client) -> Concern<'_> {
        Concern {
            rules: self.early.rules(client),
            own: self.own(client),
            model: 0,
        }
    }

    /// All that concern a caller that asks for a model.
    #[must_use]
    pub fn all(&self, client: &Client, model: &ModelId) -> Concern<'_> {
        let known = self.models.get(model);
        Concern {
            rules: known.map_or(&[], |known| known.rules.rules(client)),
            own: self.own(client),
            model: known.map_or(0, |known| known.number),
        }
    }

    /// All that concern a caller, with each of the models that they may count apart.
    pub fn everywhere(
        &self,
        client: &Client,
    ) -> impl Iterator<Item = (Option<&ModelId>, &Rule, u64)> {
        let early = self.early(client);
        let early = early.rules().map(|rule| (None, rule, 0));
        let by_model = self.models.iter().flat_map(|(id, known)| {
            let rules = known.rules.rules(client).iter();
            let rules = rules.filter(|rule| rule.needs_model);
            rules.map(move |rule| (Some(id), &**rule, known.number))
        });
        early.chain(by_model)
    }

    fn own(&self, client: &Client) -> Option<&Rule> {
        let key = client.key.as_ref()?;
        self.keys.get(&key.name).map(|rule| &**rule)
    }
}

impl Concerned {
    fn of<'a>(rules: impl Iterator<Item = &'a (Arc<Rule>, &'a Limit)>) -> Self {
        let mut concerned = Self::default();
        for (rule, limit) in rules {
            // Without a key there is nothing to count by keys.
            if limit.callers != Callers::Keys && limit.by != By::Key {
                concerned.anonymous.push(Arc::clone(rule));
            }
            if limit.callers != Callers::Anonymous {
                concerned.keyed.push(Arc::clone(rule));
            }
        }
        concerned
    }

    fn rules(&self, client: &Client) -> &[Arc<Rule>] {
        match client.key {
            None => &self.anonymous,
            Some(_) => &self.keyed,
        }
    }
}

impl<'a> Concern<'a> {
    /// Whether replicas count one of them together.
    #[must_use]
    pub fn is_shared(self) -> bool {
        self.rules.iter().any(|rule| rule.is_shared)
    }

    /// Each of them.
    pub fn rules(self) -> impl Iterator<Item = &'a Rule> {
        self.rules.iter().map(|rule| &**rule).chain(self.own)
    }
}

impl Rule {
    fn new(limit: &Limit) -> Self {
        let by_model = matches!(limit.by, By::Model | By::ClientModel);
        let name = limit.name.as_str();
        Self {
            name: limit.name.clone(),
            by: limit.by,
            needs_model: by_model || !limit.models.is_empty(),
            is_shared: limit.scope == Scope::Shared,
            shadow: limit.shadow,
            windows: windows(&limit.allowance, &["limit", name]),
            concurrent: room(limit.allowance.concurrent, &["limit", name, "concurrent"]),
            streams: room(limit.allowance.streams, &["limit", name, "streams"]),
        }
    }

    /// What a key is allowed by itself, where it is limited.
    fn of_key(key: &KeyName, allowance: &Allowance) -> Option<Self> {
        (*allowance != Allowance::default()).then(|| Self {
            name: LimitName::new(&format!("key:{key}")),
            by: By::Key,
            needs_model: false,
            is_shared: false,
            shadow: false,
            windows: windows(allowance, &["key"]),
            concurrent: room(allowance.concurrent, &["key", "concurrent"]),
            streams: room(allowance.streams, &["key", "streams"]),
        })
    }
}

fn windows(allowance: &Allowance, name: &[&str]) -> Vec<RuleWindow> {
    let of = |kind: Kind, window: Option<Window>| {
        let window = window?;
        Some(RuleWindow {
            kind,
            number: number(&[name, &[kind.as_str(), &window.per.as_nanos().to_string()]].concat()),
            rate: Rate::new(&window),
            window,
        })
    };
    let all = [
        of(Kind::Requests, allowance.requests),
        of(Kind::Tokens, allowance.tokens),
        of(Kind::Cost, allowance.cost),
    ];
    all.into_iter().flatten().collect()
}

fn room(max: Option<u32>, name: &[&str]) -> Option<Room> {
    let number = number(name);
    max.map(|max| Room { number, max })
}

/// A number for a name of several parts, the same in every process, and rarely for two.
fn number(name: &[&str]) -> u64 {
    let mut hasher = blake3::Hasher::new();
    for part in name {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    let mut bytes = [0; 8];
    hasher.finalize_xof().fill(&mut bytes);
    u64::from_le_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::example;

    const LIMITS: &str = r#"
[auth]
keys = "optional"
[[keys]]
name = "a"
sha256 = "0000000000000000000000000000000000000000000000000000000000000001"
requests = { count = 1, per = "1m" }
[[keys]]
name = "b"
sha256 = "0000000000000000000000000000000000000000000000000000000000000002"
[[limits]]
name = "everybody"
by = "global"
concurrent = 1
[[limits]]
name = "strangers"
by = "client"
callers = "anonymous"
requests = { count = 1, per = "1m" }
tokens = { count = 1, per = "1m" }
[[limits]]
name = "keys"
by = "key"
streams = 1
[[limits]]
name = "models"
by = "model"
streams = 1
[[limits]]
name = "other"
by = "client"
models = ["other*"]
concurrent = 1
[[limits]]
name = "pattern"
by = "client+model"
models = ["m*"]
concurrent = 1
[[models]]
id = "other-one"
pools = ["p"]
"#;

    fn client(key: Option<&str>, config: &Config) -> Client {
        let mut client = Client::new(None);
        let named = |name: &str| config.keys.iter().find(|key| key.name.as_str() == name);
        client.key = key.and_then(named).cloned().map(Arc::new);
        client
    }

    #[track_caller]
    fn check(key: Option<&str>, early: &[&str], all: &[&str]) {
        let config = example(LIMITS);
        let limits = Limits::new(&config);
        let client = client(key, &config);
        let names = |concern: Concern<'_>| -> Vec<String> {
            concern.rules().map(|rule| rule.name.to_string()).collect()
        };
        assert_eq!(names(limits.early(&client)), early);
        assert_eq!(names(limits.all(&client, &ModelId::new("m"))), all);
    }

    #[test]
    fn a_request_is_asked_about_its_own_limits_only() {
        check(
            None,
            &["everybody", "strangers"],
            &["everybody", "strangers", "models", "pattern"],
        );
        check(
            Some("a"),
            &["everybody", "keys", "key:a"],
            &["everybody", "keys", "models", "pattern", "key:a"],
        );
        check(
            Some("b"),
            &["everybody", "keys"],
            &["everybody", "keys", "models", "pattern"],
        );
    }

    #[test]
    fn a_limit_is_known_by_its_name_and_its_spans_whatever_else_has_changed() {
        let numbers = |text: &str| -> Vec<u64> {
            let limits = Limits::new(&example(text));
            let rules = limits.early.anonymous.iter();
            rules
                .flat_map(|rule| rule.windows.iter().map(|window| window.number))
                .collect()
        };
        let before = numbers(LIMITS);
        let raised = LIMITS.replace("count = 1, per = \"1m\"", "count = 9, per = \"60s\"");
        assert_eq!(numbers(&raised), before);
        assert_eq!(before.len(), 2);
        assert_ne!(before.first(), before.last());
        for (from, to) in [("strangers", "guests"), ("\"1m\"", "\"1h\"")] {
            let other = numbers(&LIMITS.replace(from, to));
            assert!(other.iter().all(|number| !before.contains(number)), "{to}");
        }
    }
}
