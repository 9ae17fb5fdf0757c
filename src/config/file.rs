//! What does the file look like?
//!
//! These types are the file as serde reads it and, through their doc comments,
//! the JSON Schema that `spafe schema` prints. The check walks a file along that
//! same schema, and the defaults stand here and nowhere else. So a key that is
//! added here is known everywhere at once; only its meaning (`build.rs`) and what
//! it may contradict (`check/`) are said apart.

/// `[server]` and `[reload]`.
pub(super) mod server;

/// `[bounds]`.
pub(super) mod bounds;

/// `[clients]`, `[anonymous]`, `[auth]`, `[[keys]]`.
pub(super) mod clients;

/// `[[limits]]`, `[limiter]`, `[shared]`.
pub(super) mod limits;

/// `[timeouts]`, `[attempts]`, and what else holds for every pool.
pub(super) mod upstreams;

/// `[cache]`, and a model's own.
pub(super) mod cache;

/// `[costs]`, `price` and `cost`.
pub(super) mod costs;

/// `[log]`.
pub(super) mod log;

/// `[metrics]`.
pub(super) mod metrics;
/// `[otlp]`.
pub(super) mod otlp;

/// One of `[[pools]]`.
pub(super) mod pool;

/// One of `[[models]]`.
pub(super) mod model;

use std::time::Duration;

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use self::bounds::Bounds;
use self::cache::Cache;
use self::clients::{Anonymous, Auth, Clients, Key};
use self::costs::Costs;
use self::limits::{Limit, Limiter, Shared};
use self::log::Log;
use self::metrics::Metrics;
use self::model::Model;
use self::otlp::Otlp;
use self::pool::Pool;
use self::server::{Reload, Server};
use self::upstreams::{Attempts, Concurrency, Dns, Ejection, Hedging, Timeouts};
use super::notation::name::File as FilePath;
use super::notation::place::{Origin, Store};
use super::notation::{Length, Size, Written};

/// The JSON Schema of the file, without references: the check walks along it.
pub(super) fn schema() -> Value {
    schema_of::<File>()
}

/// That of the file of keys.
pub(super) fn keys_schema() -> Value {
    schema_of::<KeysFile>()
}

fn schema_of<T: JsonSchema>() -> Value {
    let settings =
        SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    let mut schema = settings
        .into_generator()
        .into_root_schema_for::<T>()
        .to_value();
    without_null(&mut schema);
    schema
}

/// TOML knows no null: what may be left out is left out.
fn without_null(schema: &mut Value) {
    match schema {
        Value::Array(items) => items.iter_mut().for_each(without_null),
        Value::Object(entries) => {
            entries.retain(|_, value| !value.is_null());
            if let Some(Value::Array(types)) = entries.get_mut("type") {
                types.retain(|name| name != "null");
                if let [only] = types.as_slice() {
                    let only = only.clone();
                    entries.insert("type".to_owned(), only);
                }
            }
            if let Some(Value::Array(alternatives)) = entries.get_mut("anyOf") {
                alternatives.retain(|schema| schema.get("type").is_none_or(|name| name != "null"));
                if let [Value::Object(only)] = alternatives.as_slice() {
                    let only = only.clone();
                    entries.remove("anyOf");
                    // What is said of the key itself goes before what is said of its type.
                    for (key, value) in only {
                        entries.entry(key).or_insert(value);
                    }
                }
            }
            entries.values_mut().for_each(without_null);
        }
        _ => {}
    }
}

/// Configuration of spafe, an edge proxy for language models.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    /// Addresses, threads, names.
    #[serde(default)]
    pub(super) server: Server,
    /// Bounds on what a caller may send, and how slowly.
    #[serde(default)]
    pub(super) bounds: Bounds,
    /// How callers are told apart, and which of them may come in.
    #[serde(default)]
    pub(super) clients: Clients,
    /// What callers without a key may ask for.
    #[serde(default)]
    pub(super) anonymous: Anonymous,
    /// Whether callers show keys.
    #[serde(default)]
    pub(super) auth: Auth,
    /// The keys that callers may show.
    #[serde(default)]
    pub(super) keys: Vec<Key>,
    /// How much may be asked for, and by whom.
    #[serde(default)]
    pub(super) limits: Vec<Limit>,
    /// How limits are kept, and tokens estimated.
    #[serde(default)]
    pub(super) limiter: Limiter,
    /// What replicas count together.
    #[serde(default)]
    #[schemars(extend("default" = {}))]
    pub(super) shared: Shared,
    /// Deadlines toward upstreams, for every pool that sets none of its own.
    #[serde(default)]
    pub(super) timeouts: Timeouts,
    /// How often a request is tried.
    #[serde(default)]
    pub(super) attempts: Attempts,
    /// When a target rests, for every pool that does not say otherwise.
    #[expect(dead_code, reason = "every pool has inherited it already")]
    #[serde(default)]
    pub(super) ejection: Ejection,
    /// How much is asked at once, for every pool that does not say otherwise.
    #[expect(dead_code, reason = "every pool has inherited it already")]
    #[serde(default)]
    pub(super) concurrency: Concurrency,
    /// Asking a second target where the first is slow, for every pool that does not say otherwise.
    #[expect(dead_code, reason = "every pool has inherited it already")]
    #[serde(default)]
    pub(super) hedging: Hedging,
    /// How names of targets are looked up.
    #[serde(default)]
    pub(super) dns: Dns,
    /// When this file is read again.
    #[serde(default)]
    pub(super) reload: Reload,
    /// What is answered from memory, for whom, and for how long.
    #[serde(default)]
    pub(super) cache: Cache,
    /// How long it is remembered what was used.
    #[serde(default)]
    pub(super) costs: Costs,
    /// Where generated images are kept.
    #[serde(default)]
    pub(super) images: Images,
    /// Which web pages may call.
    #[serde(default)]
    pub(super) cors: Cors,
    /// What is told of each request, where, and how.
    #[serde(default)]
    pub(super) log: Log,
    /// How much metrics may tell.
    #[serde(default)]
    pub(super) metrics: Metrics,
    /// What is told to a collector of OpenTelemetry's; unset: nothing.
    pub(super) otlp: Option<Otlp>,
    /// Pools of upstream targets.
    #[schemars(length(min = 1))]
    pub(super) pools: Vec<Pool>,
    /// Models that callers can ask for.
    #[schemars(length(min = 1))]
    pub(super) models: Vec<Model>,
}

/// A file of keys, which `[auth] keys_file` names.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct KeysFile {
    /// The keys that callers may show, beside those of the configuration.
    #[serde(default)]
    pub(super) keys: Vec<Key>,
}

/// A file that is named.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(example = serde_json::json!({ "file": "/etc/spafe/file.pem" }))]
pub(super) struct FileRef {
    /// Its path.
    pub(super) file: Written<FilePath>,
}

/// Where generated images are kept.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Images {
    /// A folder, or a URL: `file:///…`, `s3://bucket/prefix`, `gs://bucket/prefix`.
    pub(super) store: Written<Store>,
    /// Bytes of all images together.
    pub(super) store_bytes_max: Written<Size>,
    /// Bytes of one image; at most `store_bytes_max`.
    pub(super) image_bytes_max: Written<Size>,
    /// How long an image is kept.
    pub(super) age_max: Written<Length>,
}

impl Default for Images {
    fn default() -> Self {
        Self {
            store: Written("var/images".to_owned()),
            store_bytes_max: Written(1 << 30),
            image_bytes_max: Written(16 << 20),
            age_max: Written(Duration::from_hours(24)),
        }
    }
}

/// Which web pages may call.
#[derive(Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Cors {
    /// Origins whose pages may call; empty: any.
    pub(super) origins: Vec<Written<Origin>>,
}

fn seconds(seconds: u64) -> Written<Length> {
    Written(Duration::from_secs(seconds))
}
