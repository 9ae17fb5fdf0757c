//! What goes wrong before a byte of a request is sent?

use std::time::Duration;

use crate::drill::fault::{Fault, Means, TIMEOUT, Tls, UNAVAILABLE, Upstream};
use crate::simulator::script::Script;

/// No connection; or one on which nothing comes.
pub(super) fn faults(connect: Duration, first: Duration) -> Vec<Fault> {
    let refused = Means::Failed(UNAVAILABLE.passing());
    let mut faults = vec![
        Fault::new("connection-refused", Upstream::Refuses, refused.clone()).http1(),
        Fault::new(
            "connection-vanishes",
            Upstream::Vanishes,
            Means::Failed(TIMEOUT),
        )
        .http1()
        .costing(connect),
        Fault::says("reset", Script::reset(), UNAVAILABLE.passing()),
        Fault::says("closed", Script::close(), UNAVAILABLE.passing()),
        Fault::says("silence-120s", Script::stall(), TIMEOUT).costing(first),
    ];
    for (name, tls) in [
        ("tls-expired", Tls::Expired),
        ("tls-other-name", Tls::OtherName),
        ("tls-unknown-authority", Tls::Unknown),
        ("tls-not-spoken", Tls::Plain),
        ("tls-closed-in-handshake", Tls::Closes),
    ] {
        faults.push(Fault::new(name, Upstream::Tls(tls), refused.clone()).tls());
    }
    let silent = Fault::new(
        "tls-silent-in-handshake",
        Upstream::Tls(Tls::Silent),
        Means::Failed(TIMEOUT),
    );
    faults.push(silent.tls().costing(connect));
    faults
}
