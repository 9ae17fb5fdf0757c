//! What do `[clients]`, `[anonymous]`, `[auth]` and `[[keys]]` mean?

use super::limits::{budget, windows};
use crate::config::clients::{Anonymous, Auth, Clients, ForwardedHeader, Key, KeyUse, Share};
use crate::config::file::clients as file;
use crate::config::limits::Allowance;
use crate::config::notation::{Network, Written};
use crate::names::KeyName;

pub(super) fn clients(file: file::Clients) -> Clients {
    Clients {
        trusted_proxies: networks(file.trusted_proxies),
        forwarded_header: match file.forwarded_header {
            file::ForwardedHeader::XForwardedFor => ForwardedHeader::XForwardedFor,
            file::ForwardedHeader::Forwarded => ForwardedHeader::Forwarded,
        },
        allow: networks(file.allow),
        deny: networks(file.deny),
        v6_56_times: file.v6_56_times,
        v6_48_times: file.v6_48_times,
        shares: file.shares.into_iter().map(share).collect(),
    }
}

fn share(file: file::Share) -> Share {
    Share {
        networks: networks(file.networks),
        times: file.times,
    }
}

fn networks(file: Vec<Written<Network>>) -> Vec<ipnet::IpNet> {
    file.into_iter().map(|network| network.0).collect()
}

pub(super) fn anonymous(file: &file::Anonymous) -> Anonymous {
    Anonymous {
        n_max: file.n_max,
        best_of_max: file.best_of_max,
        max_tokens_max: u64::from(file.max_tokens_max),
        top_logprobs_max: file.top_logprobs_max,
        tools_max: file.tools_max,
        image_side_max: file.image_side_max,
        unknown_fields_refused: matches!(file.unknown_fields, file::UnknownFields::Refuse),
    }
}

pub(super) fn auth(file: file::Auth) -> Auth {
    Auth {
        keys: match file.keys {
            file::KeyUse::Off => KeyUse::Off,
            file::KeyUse::Optional => KeyUse::Optional,
            file::KeyUse::Required => KeyUse::Required,
        },
        keys_file: file.keys_file.map(|path| path.0),
    }
}

pub(super) fn key(file: file::Key) -> Key {
    Key {
        name: KeyName::new(&file.name.0),
        sha256: file.sha256.0,
        expires: file.expires.map(|day| day.0),
        models: file.models.into_iter().map(|model| model.0).collect(),
        allowance: Allowance {
            concurrent: file.concurrent,
            streams: file.streams,
            cost: file.cost.as_ref().map(budget),
            ..windows(file.requests.as_ref(), file.tokens.as_ref())
        },
    }
}
