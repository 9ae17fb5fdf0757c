//! What does the file look like?
//!
//! These types are the file as serde reads it and, through their doc comments,
//! the JSON Schema that `spafe schema` prints. The check walks a file along that
//! same schema, and the defaults stand here and nowhere else. So a key that is
//! added here is known everywhere at once; only its meaning (`build.rs`) and what
//! it may contradict (`check/`) are said apart.

/// One of `[[pools]]`.
pub(super) mod pool;

/// One of `[[models]]`.
pub(super) mod model;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use self::model::Model;
use self::pool::Pool;
use super::notation::name::File as FilePath;
use super::notation::place::{Host, Origin, PublicUrl, Store};
use super::notation::{Address, Length, Size, Written};

/// The JSON Schema of the file, without references: the check walks along it.
pub(super) fn schema() -> Value {
    let settings =
        SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    let mut schema = settings
        .into_generator()
        .into_root_schema_for::<File>()
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
    pub(super) limits: Limits,
    /// Deadlines toward upstreams, for every pool that sets none of its own.
    #[serde(default)]
    pub(super) timeouts: Timeouts,
    /// How often a request is tried.
    #[serde(default)]
    pub(super) attempts: Attempts,
    /// Where generated images are kept.
    #[serde(default)]
    pub(super) images: Images,
    /// Which web pages may call.
    #[serde(default)]
    pub(super) cors: Cors,
    /// Where the line of each request goes.
    #[serde(default)]
    pub(super) log: Log,
    /// Pools of upstream targets.
    #[schemars(length(min = 1))]
    pub(super) pools: Vec<Pool>,
    /// Models that callers can ask for.
    #[schemars(length(min = 1))]
    pub(super) models: Vec<Model>,
}

/// Addresses, threads, names.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Server {
    /// Addresses for plaintext HTTP/1.1.
    pub(super) listen: Vec<Written<Address>>,
    /// Address of the admin listener: metrics, health, the configuration without its secrets.
    pub(super) admin: Written<Address>,
    /// Whether the admin listener may stand on an address that is not loopback.
    pub(super) admin_public: bool,
    /// Worker threads; 0: one per core.
    #[schemars(range(max = crate::config::THREADS_MAX))]
    pub(super) threads: usize,
    /// What the URLs of generated images begin with; unset: the request's Host.
    pub(super) public_url: Option<Written<PublicUrl>>,
    /// Hosts that may be asked for; empty: any.
    pub(super) allowed_hosts: Vec<Written<Host>>,
    /// Listeners that speak TLS, with HTTP/2 and HTTP/1.1.
    pub(super) tls: Option<Tls>,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            listen: vec![Written(SocketAddr::new(
                IpAddr::V4(Ipv4Addr::UNSPECIFIED),
                8080,
            ))],
            admin: Written(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8081)),
            admin_public: false,
            threads: 0,
            public_url: None,
            allowed_hosts: Vec::new(),
            tls: None,
        }
    }
}

/// Listeners that speak TLS, with HTTP/2 and HTTP/1.1.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Tls {
    /// Addresses to listen on.
    #[schemars(length(min = 1))]
    pub(super) listen: Vec<Written<Address>>,
    /// Certificate chain, PEM.
    pub(super) cert: FileRef,
    /// Private key, PEM.
    pub(super) key: FileRef,
}

/// A file that is named.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(example = serde_json::json!({ "file": "/etc/spafe/file.pem" }))]
pub(super) struct FileRef {
    /// Its path.
    pub(super) file: Written<FilePath>,
}

/// Bounds on what a caller may send, and how slowly.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Limits {
    /// From accepting a connection to the end of its first request head.
    pub(super) head_timeout: Written<Length>,
    /// How long an idle connection waits for its next request.
    pub(super) keep_alive: Written<Length>,
    /// Idle time and the next request head together; at least `keep_alive`.
    pub(super) next_head_timeout: Written<Length>,
    /// Requests on one connection before it is closed.
    #[schemars(range(min = 1))]
    pub(super) requests_per_connection: u32,
    /// Bytes of a request line; at most `head_bytes_max`.
    pub(super) request_line_bytes_max: Written<Size>,
    /// Bytes of a request head; at most 512KiB.
    pub(super) head_bytes_max: Written<Size>,
    /// Fields of a request head.
    #[schemars(range(min = 1, max = 256))]
    pub(super) head_fields_max: usize,
    /// Bytes of a request body; at most 1GiB.
    pub(super) body_bytes_max: Written<Size>,
    /// From the end of the head to the first byte of the body.
    pub(super) body_first_byte_timeout: Written<Length>,
    /// Bytes a second with which a body must arrive, averaged over ten seconds.
    pub(super) body_rate_min: Written<Size>,
    /// Nesting of a JSON body.
    #[schemars(range(min = 1, max = 512))]
    pub(super) json_depth_max: usize,
    /// Keys of one object in a JSON body.
    #[schemars(range(min = 1))]
    pub(super) json_keys_max: usize,
    /// How long a client may take nothing of an answer before its connection is reset.
    pub(super) write_stall: Written<Length>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            head_timeout: seconds(10),
            keep_alive: seconds(60),
            next_head_timeout: seconds(75),
            requests_per_connection: 1_000,
            request_line_bytes_max: Written(8 << 10),
            head_bytes_max: Written(32 << 10),
            head_fields_max: 100,
            body_bytes_max: Written(10 << 20),
            body_first_byte_timeout: seconds(10),
            body_rate_min: Written(4 << 10),
            json_depth_max: 64,
            json_keys_max: 10_000,
            write_stall: seconds(30),
        }
    }
}

/// Deadlines toward upstreams, for every pool that sets none of its own.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Timeouts {
    /// TCP and TLS together.
    pub(super) connect: Written<Length>,
    /// From the request to the first event of a stream.
    pub(super) first_event: Written<Length>,
    /// From the request to the end of an answer that is no stream.
    pub(super) answer: Written<Length>,
    /// Between two reads of a stream.
    pub(super) event_gap: Written<Length>,
    /// A whole stream.
    pub(super) stream: Written<Length>,
    /// All attempts of a request together.
    pub(super) request: Written<Length>,
    /// How long an unused upstream connection is kept.
    pub(super) idle: Written<Length>,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: seconds(2),
            first_event: seconds(30),
            answer: seconds(300),
            event_gap: seconds(60),
            stream: seconds(900),
            request: seconds(600),
            idle: seconds(30),
        }
    }
}

/// How often a request is tried.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Attempts {
    /// Attempts of one request over all pools.
    #[schemars(range(min = 1, max = 20))]
    pub(super) max: usize,
    /// Attempts of one request inside one pool; at most `max`, as by default it is.
    #[schemars(range(min = 1, max = 20))]
    pub(super) per_pool_max: usize,
}

impl Default for Attempts {
    fn default() -> Self {
        Self {
            max: 3,
            per_pool_max: 2,
        }
    }
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

/// Where the line of each request goes.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Log {
    /// `"off"`, `"stdout"` or `{ file = "PATH" }`.
    pub(super) requests: LogRequests,
    /// How the line is written.
    pub(super) format: LogFormat,
}

impl Default for Log {
    fn default() -> Self {
        Self {
            requests: LogRequests::Word(LogWord::Stdout),
            format: LogFormat::Auto,
        }
    }
}

/// Where the line of each request goes.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(untagged)]
pub(super) enum LogRequests {
    /// Nowhere, or standard output.
    Word(LogWord),
    /// To the end of a file.
    File(FileRef),
}

/// A place for request lines that needs no path.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum LogWord {
    /// Nowhere.
    Off,
    /// Standard output.
    Stdout,
}

/// How a request's line is written.
#[derive(Clone, Copy, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum LogFormat {
    /// For people on a terminal, JSON elsewhere.
    Auto,
    /// One JSON object a line.
    Json,
    /// One short line for people.
    Text,
}

fn seconds(seconds: u64) -> Written<Length> {
    Written(Duration::from_secs(seconds))
}
