//! Can the process listen as it is told?

use std::net::SocketAddr;

use super::node::Node;
use super::{Findings, Outside};
use crate::config::file::server::Server;
use crate::config::listeners::{collide, is_public};
use crate::config::notation::name::File;
use crate::config::notation::{Address, Notation};

/// Checks `[server]`.
pub(super) fn check(root: &Node<'_, '_>, outside: &Outside<'_>, findings: &mut Findings<'_>) {
    let Some(server) = root.get("server") else {
        return;
    };
    listeners(&server, findings);
    admin_stays_private(&server, findings);
    if let Some(tls) = server.get("tls") {
        pem(&tls, "cert", "CERTIFICATE", outside, findings);
        pem(&tls, "key", "PRIVATE KEY", outside, findings);
    }
}

/// No two listeners want the same port, and there is at least one for callers.
fn listeners(server: &Node<'_, '_>, findings: &mut Findings<'_>) {
    let defaults = Server::default();
    let mut taken: Vec<(SocketAddr, String)> = Vec::new();
    if server.get("listen").is_none() {
        taken.extend(
            defaults
                .listen
                .iter()
                .map(|address| (address.0, "server.listen".to_owned())),
        );
    }
    if server.get("admin").is_none() {
        taken.push((defaults.admin.0, "server.admin".to_owned()));
    }
    let tls = server
        .get("tls")
        .map(|tls| tls.items_of("listen"))
        .unwrap_or_default();
    let plain = server.items_of("listen");
    if let Some(empty) = server
        .get("listen")
        .filter(|list| list.value().is_array() && plain.is_empty() && tls.is_empty())
    {
        findings.add(&empty, "leaves nothing to listen on; name an address such as \"0.0.0.0:8080\", or set server.tls.listen");
    }
    for node in plain.into_iter().chain(tls).chain(server.get("admin")) {
        let Some(address) = node.read::<Address>() else {
            continue;
        };
        if let Some((_, other)) = taken.iter().find(|(other, _)| collide(*other, address)) {
            findings.add(
                &node,
                format!("takes the same port as {other}; give each listener one of its own"),
            );
        }
        taken.push((address, node.path().to_owned()));
    }
}

/// Metrics and configuration are for operators: showing them to a network is asked for in words.
fn admin_stays_private(server: &Node<'_, '_>, findings: &mut Findings<'_>) {
    let allowed = server
        .get("admin_public")
        .and_then(|flag| flag.value().as_bool())
        .unwrap_or(false);
    let Some(admin) = server.get("admin") else {
        return;
    };
    let public = admin.read::<Address>().is_some_and(is_public);
    if public && !allowed {
        findings.add(&admin, "is not a loopback address; write one such as \"127.0.0.1:8081\", or add admin_public = true");
    }
}

/// The file that a key names is there and holds what it should.
pub(super) fn pem(
    table: &Node<'_, '_>,
    key: &str,
    label: &str,
    outside: &Outside<'_>,
    findings: &mut Findings<'_>,
) {
    let Some(file) = table.get(key).and_then(|reference| reference.get("file")) else {
        return;
    };
    let Some(path) = file.text().and_then(|text| File::read(text).ok()) else {
        return;
    };
    match (outside.read)(&path) {
        Err(error) => findings.add(
            &file,
            format!("cannot be read ({error}); name a readable PEM file"),
        ),
        Ok(text)
            if !text.lines().any(|line| {
                line.starts_with("-----BEGIN ")
                    && line.trim_end().ends_with(&format!("{label}-----"))
            }) =>
        {
            findings.add(
                &file,
                format!(
                    "holds no {}; name a PEM file with one",
                    label.to_lowercase()
                ),
            );
        }
        Ok(_) => {}
    }
}
