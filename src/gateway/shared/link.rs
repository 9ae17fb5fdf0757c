//! How is Redis spoken to?
//!
//! Over one connection, on which questions follow each other without waiting for answers:
//! a hundred requests at once are a few packets. Of a cluster each node has one, and the
//! hash tag takes every question to the same. What goes wrong has a name of a closed set.

use std::fmt;
use std::time::Duration;

use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::cluster::{ClusterClient, ClusterClientBuilder};
use redis::cluster_async::ClusterConnection;
use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionInfo, ErrorKind, IntoConnectionInfo, Pipeline,
    RedisError, ServerErrorKind, TlsCertificates, Value,
};

use super::SharedError;
use super::script::Question;
use crate::config;
use crate::gateway::record::outcome::Absence;

/// How long a connection may take, with TLS and the password. No request waits for it.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// What is said where a key holds something else than was asked for.
const WRONG_KIND: &str = "WRONGTYPE";

/// Where Redis is.
#[derive(Clone)]
pub(super) enum Place {
    Single(Box<Client>),
    Cluster(Box<ClusterClient>),
}

/// A connection to it.
pub(super) enum Link {
    Single(MultiplexedConnection),
    Cluster(ClusterConnection),
}

impl Place {
    /// Where `[shared]` says. No question takes longer than `longest`.
    pub(super) fn new(
        config: &config::limits::Shared,
        authorities: Option<&[u8]>,
        longest: Duration,
    ) -> Result<Self, SharedError> {
        let address = |error: RedisError| SharedError::Address(error.to_string());
        let mut info: ConnectionInfo = config
            .redis
            .as_str()
            .into_connection_info()
            .map_err(address)?;
        let mut settings = info.redis_settings().clone();
        if let Some(password) = &config.password {
            settings = settings.set_password(password.expose());
        }
        info = info.set_redis_settings(settings);
        let certificates = authorities.map(|authorities| TlsCertificates {
            client_tls: None,
            root_cert: Some(authorities.to_vec()),
        });
        if config.cluster {
            let builder = ClusterClientBuilder::new([info])
                .connection_timeout(CONNECT_TIMEOUT)
                .response_timeout(longest)
                .retries(1);
            let builder = match certificates {
                Some(certificates) => builder.certs(certificates),
                None => builder,
            };
            let client = builder.build().map_err(address)?;
            return Ok(Self::Cluster(Box::new(client)));
        }
        match certificates {
            Some(certificates) => Client::build_with_tls(info, certificates).map_err(unreadable),
            None => Client::open(info).map_err(address),
        }
        .map(|client| Self::Single(Box::new(client)))
    }

    /// Connects.
    pub(super) async fn connect(&self) -> Result<Link, Absence> {
        let connected = async {
            match self {
                Self::Single(client) => {
                    // Questions have a time of their own, shorter than these.
                    let config = AsyncConnectionConfig::new()
                        .set_connection_timeout(None)
                        .set_response_timeout(None);
                    let link = client.get_multiplexed_async_connection_with_config(&config);
                    link.await.map(Link::Single)
                }
                Self::Cluster(client) => client.get_async_connection().await.map(Link::Cluster),
            }
        };
        match tokio::time::timeout(CONNECT_TIMEOUT, connected).await {
            Ok(connected) => connected.map_err(|error| match absence(&error) {
                Absence::Lost => Absence::Refused,
                absence => absence,
            }),
            Err(_) => Err(Absence::Slow),
        }
    }
}

impl Link {
    /// Asks a script, and once more with all of it where the server does not know it.
    pub(super) async fn ask(&self, question: &Question<'_>) -> Result<Value, Absence> {
        match self.run(&question.short()).await {
            Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
                let answer = self.run(&question.whole()).await;
                answer.map_err(|error| absence(&error))
            }
            answer => answer.map_err(|error| absence(&error)),
        }
    }

    /// Runs one command, and names what goes wrong.
    pub(super) async fn tell(&self, command: &Cmd) -> Result<Value, Absence> {
        self.run(command).await.map_err(|error| absence(&error))
    }

    /// Runs commands one after the other, in one packet. An error stands among the answers
    /// only where a key holds something else than was asked for.
    pub(super) async fn all(&self, commands: &Pipeline) -> Result<Vec<Value>, Absence> {
        let mut commands = commands.clone();
        commands.ignore_errors();
        let answers = match self {
            Self::Single(connection) => commands.query_async(&mut connection.clone()).await,
            Self::Cluster(connection) => commands.query_async(&mut connection.clone()).await,
        };
        let answers: Vec<Value> = answers.map_err(|error| absence(&error))?;
        let failed = answers.iter().find_map(|answer| match answer {
            Value::ServerError(error) if error.code() != WRONG_KIND => Some(error.clone()),
            _ => None,
        });
        match failed {
            Some(error) => Err(absence(&error.into())),
            None => Ok(answers),
        }
    }

    /// Runs one command.
    async fn run(&self, command: &Cmd) -> Result<Value, RedisError> {
        let answer = match self {
            Self::Single(connection) => connection.clone().req_packed_command(command).await?,
            Self::Cluster(connection) => connection.clone().req_packed_command(command).await?,
        };
        // An error may stand inside of an answer.
        answer.extract_error()
    }
}

/// What an error means for us.
fn absence(error: &RedisError) -> Absence {
    match error.code() {
        Some("OOM") => return Absence::OutOfMemory,
        Some("NOAUTH" | "WRONGPASS" | "NOPERM") => return Absence::Unauthorized,
        Some("LOADING" | "MASTERDOWN") => return Absence::Loading,
        Some("READONLY") => return Absence::ReadOnly,
        Some("MOVED" | "ASK" | "CROSSSLOT" | "CLUSTERDOWN" | "TRYAGAIN") => return Absence::Moved,
        _ => {}
    }
    match error.kind() {
        ErrorKind::AuthenticationFailed => Absence::Unauthorized,
        ErrorKind::Parse | ErrorKind::UnexpectedReturnType => Absence::Garbage,
        ErrorKind::ClusterConnectionNotFound => Absence::Refused,
        _ if error.is_timeout() => Absence::Slow,
        _ if error.is_connection_refusal() => Absence::Refused,
        ErrorKind::Io => Absence::Lost,
        _ if error.is_unrecoverable_error() => Absence::Lost,
        _ => Absence::Failed,
    }
}

fn unreadable(error: impl fmt::Display) -> SharedError {
    SharedError::Authorities(error.to_string())
}

impl fmt::Debug for Place {
    /// Not its address: it may have a name in it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Single(_) => "Place::Single",
            Self::Cluster(_) => "Place::Cluster",
        })
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Single(_) => "Link::Single",
            Self::Cluster(_) => "Link::Cluster",
        })
    }
}
