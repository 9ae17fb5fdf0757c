//! Which places does a path lead through?
//!
//! A file is replaced by replacing any of them: itself, a folder above it, or a symbolic
//! link on the way, as Kubernetes does with `..data`. So the way is walked as the system
//! walks it, and every place on it is one to watch.

use std::collections::{BTreeSet, VecDeque};
use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};

/// As many links as Linux follows before it says that they lead in a circle.
const LINKS_MAX: usize = 40;

/// Every place that the way to `path` leads through, itself among them, as far as it can
/// be walked now and then as it would go on.
pub(super) fn steps(path: &Path) -> BTreeSet<PathBuf> {
    let mut passed = BTreeSet::new();
    let Ok(path) = std::path::absolute(path) else {
        return passed;
    };
    let mut here = PathBuf::new();
    let mut rest = VecDeque::new();
    put_in_front(&mut rest, &mut here, &path);
    let mut links = 0;
    while let Some(name) = rest.pop_front() {
        if name == ".." {
            here.pop();
            continue;
        }
        let next = here.join(name);
        passed.insert(next.clone());
        match std::fs::read_link(&next) {
            Ok(target) if links < LINKS_MAX => {
                links += 1;
                put_in_front(&mut rest, &mut here, &target);
            }
            _ => here = next,
        }
    }
    passed
}

/// What `path` leads through is next.
fn put_in_front(rest: &mut VecDeque<OsString>, here: &mut PathBuf, path: &Path) {
    for component in path.components().rev() {
        match component {
            Component::RootDir | Component::Prefix(_) => *here = PathBuf::from("/"),
            Component::CurDir => {}
            Component::ParentDir => rest.push_front("..".into()),
            Component::Normal(name) => rest.push_front(name.to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn links_are_walked_and_each_is_a_step() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        std::fs::create_dir_all(root.join("mount/..1")).unwrap();
        std::fs::write(root.join("mount/..1/f"), "").unwrap();
        symlink("..1", root.join("mount/..data")).unwrap();
        symlink("..data/f", root.join("mount/f")).unwrap();
        symlink(root.join("mount"), root.join("conf")).unwrap();
        let mut expected: BTreeSet<PathBuf> = [
            "conf",
            "mount",
            "mount/f",
            "mount/..data",
            "mount/..1",
            "mount/..1/f",
        ]
        .map(|step| root.join(step))
        .into();
        expected.extend(
            root.ancestors()
                .filter(|above| above.parent().is_some())
                .map(Path::to_owned),
        );
        assert_eq!(steps(&root.join("conf/../conf/f")), expected);
    }

    #[test]
    fn a_circle_and_what_is_not_there_end() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        symlink("b", root.join("a")).unwrap();
        symlink("a", root.join("b")).unwrap();
        let circle = steps(&root.join("a"));
        assert!(circle.contains(&root.join("a")) && circle.contains(&root.join("b")));
        assert!(steps(&root.join("gone/f")).contains(&root.join("gone/f")));
    }
}
