//! Is the house as it says it is?
//!
//! Order that nobody checks is lost one reasonable exception at a time. What
//! clippy can check is in `Cargo.toml`; here is the rest: who imports whom, how
//! long files are, that what operators read and what the program does are the
//! same. Each check lists every fault at once, with its place.

/// Every configuration key and every metric is documented, and nothing else is.
mod documented;
/// Who may import whom.
mod layers;
/// Every promise has its tests.
mod proven;

use std::path::{Path, PathBuf};

use crate::kit::repository;

/// Where a file ends, its tests apart.
const FILE_LINES_MAX: usize = 400;

/// A text file of this repository.
struct Source {
    /// Its path from the repository's root.
    path: String,
    text: String,
}

#[test]
fn every_file_opens_with_its_question() {
    let faults = rust()
        .filter(|file| !file.text.starts_with("//! "))
        .map(|file| format!("{}: begins without `//! `", file.path));
    assert_none(faults);
}

#[test]
fn no_file_is_longer_than_one_wants_to_read() {
    let faults = rust().filter_map(|file| {
        let lines = file.product().lines().count();
        (lines > FILE_LINES_MAX)
            .then(|| format!("{}: {lines} lines, at most {FILE_LINES_MAX}", file.path))
    });
    assert_none(faults);
}

#[test]
fn a_module_is_named_by_its_file() {
    let faults = rust()
        .filter(|file| file.path.ends_with("/mod.rs"))
        .map(|file| format!("{}: rename it to its folder's name", file.path));
    assert_none(faults);
}

#[test]
fn an_exception_from_a_lint_is_an_expectation_with_a_reason() {
    let allow = concat!("[all", "ow(");
    let expect = concat!("[exp", "ect(");
    let mut faults = Vec::new();
    for file in rust() {
        for (start, _) in file.text.match_indices(allow) {
            faults.push(file.fault(start, "say `expect`, which ends with its cause"));
        }
        for (start, _) in file.text.match_indices(expect) {
            let attribute = file.text[start..].split(")]").next().unwrap();
            if !attribute.contains("reason =") {
                faults.push(file.fault(start, "say the reason"));
            }
        }
    }
    assert_none(faults);
}

#[test]
fn no_file_knows_the_machine_it_was_written_on() {
    let faults = committed().flat_map(|file| {
        [
            concat!("/", "home/"),
            concat!("/", "root/"),
            concat!("/", "work/"),
            concat!("/", "Users/"),
        ]
        .iter()
        .flat_map(|folder| file.text.match_indices(folder))
        // A part of a longer path or address is no folder of a machine.
        .filter(|(start, _)| {
            !file.text[..*start].ends_with(|before: char| {
                before.is_alphanumeric() || matches!(before, '.' | '}' | '*')
            })
        })
        .map(|(start, folder)| file.fault(start, &format!("{folder} is on one machine only")))
        .collect::<Vec<_>>()
    });
    assert_none(faults);
}

/// Which registry is asked is up to the machine that installs, not to a file here.
#[test]
fn no_file_names_a_registry() {
    let ours = "registry+https://github.com/rust-lang/crates.io-index";
    let mut faults = Vec::new();
    for file in committed() {
        for host in [
            concat!("registry.npm", "js.org"),
            concat!("py", "pi.org"),
            concat!("python", "hosted.org"),
            concat!("arti", "factory"),
        ] {
            for (start, _) in file.text.match_indices(host) {
                faults.push(file.fault(start, "names a registry's host"));
            }
        }
        let name = Path::new(&file.path).file_name().unwrap();
        if name == "Cargo.lock" {
            for (start, _) in file.text.match_indices("source = ") {
                let line = file.text[start..].lines().next().unwrap();
                if !line.contains(ours) {
                    faults.push(file.fault(start, "comes from another registry"));
                }
            }
        }
        if name == "requirements.txt" || name == "package.json" {
            for (start, _) in file.text.match_indices("://") {
                faults.push(file.fault(start, "names an address"));
            }
        }
    }
    assert_none(faults);
}

impl Source {
    /// What stands before the file's own tests.
    fn product(&self) -> &str {
        self.text.split("\n#[cfg(test)]\nmod ").next().unwrap()
    }

    fn fault(&self, at: usize, what: &str) -> String {
        let line = self.text[..at].matches('\n').count() + 1;
        format!("{}:{line}: {what}", self.path)
    }
}

fn assert_none(faults: impl IntoIterator<Item = String>) {
    let faults: Vec<String> = faults.into_iter().collect();
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

/// Every Rust file.
fn rust() -> impl Iterator<Item = Source> {
    committed().filter(|file| {
        Path::new(&file.path)
            .extension()
            .is_some_and(|end| end == "rs")
    })
}

/// Every text file that is committed, or would be by the next commit: all but
/// what `.gitignore` names. Git itself may be absent or refuse a foreign owner.
fn committed() -> impl Iterator<Item = Source> {
    let root = repository("");
    let ignored = std::fs::read_to_string(root.join(".gitignore")).unwrap();
    let ignored: Vec<&str> = ignored.lines().collect();
    let mut files = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            if name == ".git" {
                continue;
            }
            if path.is_file() {
                files.push(path);
            } else if !ignored.contains(&format!("{name}/").as_str()) {
                folders.push(path);
            }
        }
    }
    files.sort();
    assert!(!files.is_empty());
    files.into_iter().filter_map(move |path| read(&root, &path))
}

/// `None` where the file holds no text.
fn read(root: &Path, path: &PathBuf) -> Option<Source> {
    let text = String::from_utf8(std::fs::read(path).unwrap()).ok()?;
    let path = path
        .strip_prefix(root)
        .unwrap()
        .to_str()
        .unwrap()
        .to_owned();
    Some(Source { path, text })
}
