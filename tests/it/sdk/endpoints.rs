//! Do the SDKs get what they ask for beside chats?
//!
//! Images, sound, what was said, items, verdicts, vectors and texts, each as the SDK asks for it
//! and makes an object of it; chats with pictures are in `dialects.rs`.

use crate::kit::gateway::{Gateway, Setup};
use crate::kit::script;
use crate::kit::upstream::{base, upstream};
use spafe::simulator::Simulator;

/// A gateway with one model for all that is asked for, one that makes images, and one that only
/// talks.
async fn gateway() -> (Gateway, Simulator) {
    let upstream = upstream().await;
    let all = "endpoints = [\"completions\", \"embeddings\", \"responses\", \"audio.speech\", \"audio.transcriptions\", \"moderations\"]";
    let gateway = Setup::new()
        .pool("main", &[&base(&upstream)])
        .model_with("all", &["main"], all)
        .model("talker", &["main"])
        .pool_with("painter", &[&base(&upstream)], "dialect = \"images\"")
        .model_with("painter", &["painter"], "modality = \"image\"")
        .start();
    (gateway, upstream)
}

#[tokio::test(flavor = "multi_thread")]
async fn python_gets_what_it_asks_for_beside_chats() {
    let (gateway, _upstream) = gateway().await;
    script::python("endpoints.py", &[("SPAFE_URL", &*gateway.url(""))]);
}

#[tokio::test(flavor = "multi_thread")]
async fn javascript_gets_what_it_asks_for_beside_chats() {
    let (gateway, _upstream) = gateway().await;
    script::node("endpoints.mjs", &[("SPAFE_URL", &*gateway.url(""))]);
}
