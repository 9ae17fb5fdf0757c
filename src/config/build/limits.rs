//! What do `[[limits]]`, `[limiter]` and `[shared]` mean?

use super::count;
use crate::config::check::SharedSecrets;
use crate::config::file::costs::Budget;
use crate::config::file::limits as file;
use crate::config::limits::{Allowance, By, Callers, Limit, Limiter, Scope, Shared, Window};
use crate::money::Usd;
use crate::names::LimitName;

pub(super) fn limit(file: file::Limit) -> Limit {
    Limit {
        name: LimitName::new(&file.name.0),
        by: match file.by {
            file::By::Client => By::Client,
            file::By::Key => By::Key,
            file::By::Model => By::Model,
            file::By::ClientModel => By::ClientModel,
            file::By::Global => By::Global,
        },
        callers: match file.callers {
            file::Callers::All => Callers::All,
            file::Callers::Anonymous => Callers::Anonymous,
            file::Callers::Keys => Callers::Keys,
        },
        models: file.models.into_iter().map(|model| model.0).collect(),
        allowance: Allowance {
            concurrent: file.concurrent,
            streams: file.streams,
            cost: file.cost.as_ref().map(budget),
            ..windows(file.requests.as_ref(), file.tokens.as_ref())
        },
        scope: match file.scope {
            file::Scope::Local => Scope::Local,
            file::Scope::Shared => Scope::Shared,
        },
        shadow: file.shadow,
    }
}

/// An allowance of these windows, and of any number in flight.
pub(super) fn windows(requests: Option<&file::Window>, tokens: Option<&file::Window>) -> Allowance {
    let window = |file: &file::Window| Window {
        count: file.count.into(),
        per: file.per.0,
        burst: file.burst.unwrap_or(file.count).into(),
        calendar: false,
    };
    Allowance {
        requests: requests.map(window),
        tokens: tokens.map(window),
        ..Allowance::default()
    }
}

pub(super) fn budget(file: &Budget) -> Window {
    Window::budget(Usd::dollars(file.usd), file.per.0)
}

pub(super) fn limiter(file: &file::Limiter) -> Limiter {
    Limiter {
        keys_max: count(file.keys_max),
        bytes_per_token: file.bytes_per_token,
        output_tokens: file.output_tokens,
    }
}

/// Nothing is shared where the check has found nothing to share it with.
pub(super) fn shared(file: file::Shared, secrets: SharedSecrets) -> Option<Shared> {
    Some(Shared {
        redis: file.redis?.0,
        password: secrets.password,
        ca: file.ca.map(|ca| ca.file.0),
        cluster: file.cluster,
        secret: secrets.secret?,
        hash_tag: file.hash_tag.0,
        replicas: file.replicas,
        timeout: file.timeout.0,
        failures: file.failures,
        rest: file.rest.0,
    })
}
