//! What does a pool not say itself?
//!
//! Some tables may stand both at the top, for all pools, and in a pool. Each key that
//! a pool's table lacks is taken from the one at the top before the pool is read, with
//! its place in the file: a problem with it is told where it was written.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// The tables that are inherited key by key.
const INHERITED: [&str; 3] = ["ejection", "concurrency", "hedging"];

/// Completes the tables of every pool.
pub(super) fn inherit(document: &mut Spanned<DeValue<'_>>) {
    let DeValue::Table(root) = document.get_mut() else {
        return;
    };
    for name in INHERITED {
        let Some(general) = root.get(name).cloned() else {
            continue;
        };
        let Some(DeValue::Array(pools)) = root.get_mut("pools").map(Spanned::get_mut) else {
            return;
        };
        for pool in pools.iter_mut() {
            if let DeValue::Table(pool) = pool.get_mut() {
                let own = pool
                    .entry(Spanned::new(general.span(), name.into()))
                    .or_insert_with(|| {
                        Spanned::new(general.span(), DeValue::Table(DeTable::new()))
                    });
                complete(own.get_mut(), general.get_ref());
            }
        }
    }
}

/// Adds what `own` lacks of `general`; what is no table was told already.
fn complete<'i>(own: &mut DeValue<'i>, general: &DeValue<'i>) {
    let (DeValue::Table(own), DeValue::Table(general)) = (own, general) else {
        return;
    };
    for (key, value) in general {
        own.entry(key.clone()).or_insert_with(|| value.clone());
    }
}
