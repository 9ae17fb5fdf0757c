//! What must be found nowhere?
//!
//! The kit remembers what a test keeps secret: what stands in the environment of a program, and
//! what its callers show and say. Whatever a program has told, on whichever way, is searched for
//! each of these when the test lets go of it, and the test that made it tell fails. A secret is
//! one in other clothes as well: in base64, encoded as a part of a URL, or its beginning.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;

/// How many of a kind are remembered: searching is not to take long.
const WORDS_MAX: usize = 48;
/// What is shorter stands in other words as well.
const WORD_BYTES_MIN: usize = 10;
/// The beginning that says enough, and of how long a word.
const BEGINNING_BYTES: usize = 12;
const LONG_BYTES: usize = 16;
/// Where in what is sent a caller's secrets are looked for.
const HEARD_BYTES_MAX: usize = 16 << 10;
/// Fields of a head that open something.
const OPENING: [&str; 5] = [
    "authorization",
    "x-api-key",
    "api-key",
    "cookie",
    "proxy-authorization",
];
/// Before what somebody says, in JSON, in a form or in a script.
const SAYING: [&str; 6] = ["content", "text", "input", "prompt", "query", "filename"];
/// How long a page of an operator may take where nobody waits for it.
const PAGE_PATIENCE: Duration = Duration::from_millis(500);
/// What operators can read.
pub(crate) const PAGES: [&str; 9] = [
    "/metrics",
    "/config",
    "/requests",
    "/failures",
    "/limits",
    "/cache",
    "/usage",
    "/readyz",
    "/log",
];

/// Words, each with its forms.
type Words = Mutex<BTreeMap<String, Vec<String>>>;

/// What stands in a program's environment.
static CONFIGURED: Words = Mutex::new(BTreeMap::new());
/// What callers show: keys, cookies.
static SHOWN: Words = Mutex::new(BTreeMap::new());
/// What somebody said.
static SAID: Words = Mutex::new(BTreeMap::new());

/// Remembers a variable of a program's environment, where it is a secret.
pub(crate) fn variable(name: &str, value: &str) {
    let is_ours = ["SPAFE_", "RUST_", "NOTIFY_", "WATCHDOG_"];
    if !is_ours.iter().any(|prefix| name.starts_with(prefix)) {
        keep(&CONFIGURED, value);
    }
}

/// Remembers what a caller shows and says, in a request or its beginning.
pub(super) fn overhear(bytes: &[u8]) {
    let bytes = bytes.get(..HEARD_BYTES_MAX).unwrap_or(bytes);
    let text = String::from_utf8_lossy(bytes);
    for line in text.lines().take_while(|line| !line.is_empty()) {
        if let Some(query) = query(line) {
            for (_, value) in url::form_urlencoded::parse(query.as_bytes()) {
                keep(&SHOWN, &value);
            }
        } else if let Some((name, value)) = line.split_once(':')
            && OPENING.contains(&name.to_ascii_lowercase().as_str())
        {
            keep(&SHOWN, value);
            let cookies = value.split(';').filter_map(|it| it.split_once('='));
            cookies.for_each(|(_, value)| keep(&SHOWN, value));
        }
    }
    listen(&text);
}

/// Remembers what is said in a text: a body, or a script that sends one.
pub(super) fn listen(text: &str) {
    for name in SAYING {
        for behind in text.split(name).skip(1) {
            let behind = behind.trim_start_matches(['"', '\'']).trim_start();
            let value = behind.strip_prefix([':', '=']).map(str::trim_start);
            let Some(said) = value.and_then(|value| value.strip_prefix(['"', '\''])) else {
                continue;
            };
            // The first words: a caller may say them ever again.
            let said = said.split(['"', '\'', '\\']).next().unwrap_or_default();
            keep(&SAID, &said.chars().take(64).collect::<String>());
        }
    }
}

/// What stands behind the path of a request's first line, where a model is asked: of operators
/// what they ask about is told.
fn query(line: &str) -> Option<&str> {
    let (_, rest) = line.split_once(' ')?;
    let (target, version) = rest.split_once(' ')?;
    let is_public = target.starts_with("/v1/") || target.starts_with("/api/v1/");
    let query = target.split_once('?')?.1;
    (is_public && version.starts_with("HTTP/")).then_some(query)
}

fn keep(kept: &Words, word: &str) {
    let word = word.trim().trim_start_matches("Bearer ").trim();
    let letters: BTreeSet<char> = word.chars().collect();
    let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
    if word.len() >= WORD_BYTES_MIN && letters.len() > 4 && kept.len() < WORDS_MAX {
        kept.entry(word.to_owned()).or_insert_with(|| forms(word));
    }
}

/// A word as it stands in a text, and in which other clothes it could.
fn forms(word: &str) -> Vec<String> {
    let mut forms = vec![word.to_owned()];
    if word.len() >= LONG_BYTES {
        forms.push(word.chars().take(BEGINNING_BYTES).collect());
    }
    forms.push(url::form_urlencoded::byte_serialize(word.as_bytes()).collect());
    forms.push(forms[forms.len() - 1].replace('+', "%20"));
    for before in 0..3 {
        let bytes = [&b"\0\0"[..before], word.as_bytes()].concat();
        let encoded = STANDARD_NO_PAD.encode(&bytes);
        // What depends on nothing but the word.
        let (from, to) = ((before * 8).div_ceil(6), bytes.len() * 8 / 6);
        forms.push(encoded.get(from..to).unwrap_or_default().to_owned());
        forms.push(
            encoded
                .get(from..to)
                .unwrap_or_default()
                .replace('+', "-")
                .replace('/', "_"),
        );
    }
    forms.sort();
    forms.dedup();
    forms
}

/// Fails where one of these words, in any clothes, stands in this text.
#[track_caller]
pub(crate) fn absent(place: &str, text: &str, words: &[&str]) {
    for word in words {
        lacks(place, text, word, &forms(word));
    }
}

#[track_caller]
fn lacks(place: &str, text: &str, word: &str, forms: &[String]) {
    let Some(at) = forms.iter().find_map(|form| text.find(form)) else {
        return;
    };
    let before: String = {
        let before: Vec<char> = text
            .get(..at)
            .unwrap_or_default()
            .chars()
            .rev()
            .take(200)
            .collect();
        before.into_iter().rev().collect()
    };
    panic!("{place} tells {word:?}, behind {before:?}");
}

#[track_caller]
fn all_absent(place: &str, text: &str, kept: &Words) {
    // A copy: who fails here is not to be in the way of the next.
    let kept = kept.lock().unwrap_or_else(PoisonError::into_inner).clone();
    for (word, forms) in &kept {
        lacks(place, text, word, forms);
    }
}

/// Fails where a caller is told what stands in the environment of a program.
#[track_caller]
pub(super) fn opens_nothing(place: &str, text: &str) {
    all_absent(place, text, &CONFIGURED);
}

/// Fails where a text tells what somebody configured, showed or said.
#[track_caller]
pub(super) fn tells_nothing(place: &str, text: &str) {
    for kept in [&CONFIGURED, &SHOWN, &SAID] {
        all_absent(place, text, kept);
    }
}

/// Fails where what a program has told tells anything; `configuration` says what it may.
pub(super) fn search(places: &[(String, String)], configuration: &Path) {
    let wanted = std::fs::read_to_string(configuration).unwrap_or_default();
    let may_tell = wanted.contains("content = true");
    for (place, text) in places {
        if may_tell {
            opens_nothing(place, text);
            all_absent(place, text, &SHOWN);
        } else {
            tells_nothing(place, text);
        }
    }
}

/// What a running program can be asked, or what of it can be seen.
pub(crate) fn seen(pid: u32, admin: SocketAddr) -> Vec<(String, String)> {
    let arguments = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let arguments = String::from_utf8_lossy(&arguments).into_owned();
    let mut seen = vec![("its command line".to_owned(), arguments)];
    for page in PAGES {
        // One that does not answer, because the test has stopped it, tells nothing.
        let Ok(text) = page_of(admin, page) else {
            break;
        };
        seen.push((page.to_owned(), text));
    }
    seen
}

fn page_of(admin: SocketAddr, page: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&admin, PAGE_PATIENCE)?;
    stream.set_read_timeout(Some(PAGE_PATIENCE))?;
    let asked = format!("GET {page} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(asked.as_bytes())?;
    let mut text = Vec::new();
    stream.read_to_end(&mut text)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// What the lines of requests say that went to a file beside the configuration.
pub(crate) fn files(folder: &Path) -> Vec<(String, String)> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let logs = entries.filter(|entry| {
        let name = entry.file_name().to_string_lossy().into_owned();
        name.contains("log") || name.contains("lines")
    });
    let regular = logs.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file()));
    let read = regular.filter_map(|entry| {
        let text = std::fs::read(entry.path()).ok()?;
        let name = entry.file_name().to_string_lossy().into_owned();
        Some((name, String::from_utf8_lossy(&text).into_owned()))
    });
    read.collect()
}

#[test]
fn what_is_shown_and_said_is_overheard() {
    #[track_caller]
    fn check(kept: &Words, word: &str) {
        let kept = kept.lock().unwrap();
        assert!(kept.contains_key(word), "{word}: {:?}", kept.keys());
    }
    overhear(
        b"POST /v1/chat/completions?note=kanari%20in%20a%20query HTTP/1.1\r\nHost: h\r\n\
          Proxy-Authorization: kanari of a proxy\r\n\r\n{\"content\":\"kanari in a chat\",\
          \"input\" : \"kanari in vectors\"}\r\nform-data; filename=\"kanari-in-a-form.wav\"",
    );
    listen("messages: [{ role: 'user', content: 'kanari in a script' }]");
    check(&SHOWN, "kanari in a query");
    check(&SHOWN, "kanari of a proxy");
    for said in [
        "kanari in a chat",
        "kanari in vectors",
        "kanari-in-a-form.wav",
        "kanari in a script",
    ] {
        check(&SAID, said);
    }
    // What an operator asks about is told.
    overhear(b"GET /requests?client=kanari-of-an-operator HTTP/1.1\r\nHost: h\r\n\r\n");
    let shown = SHOWN.lock().unwrap();
    assert!(!shown.contains_key("kanari-of-an-operator"));
}

#[test]
fn a_word_is_found_in_all_its_clothes() {
    let word = "kanari+bird/4711 sings";
    let words = [word];
    absent("nothing", "a kanari and a bird", &words);
    for before in ["", "a", "ab"] {
        let encoded = STANDARD_NO_PAD.encode(format!("{before}{word}{before}"));
        let found = std::panic::catch_unwind(|| absent("base64", &encoded, &words));
        assert!(found.is_err(), "{encoded}");
    }
    for text in [
        "x kanari+bird/4711 sings y",
        "?q=kanari%2Bbird%2F4711+sings",
        "?q=kanari%2Bbird%2F4711%20sings",
        "kanari+bird/…",
    ] {
        let found = std::panic::catch_unwind(|| absent("a text", text, &words));
        assert!(found.is_err(), "{text}");
    }
}
