//! The order of the modules: each knows only those before it.

use std::fs;
use std::path::{Path, PathBuf};

const ORDER: [&str; 9] = ["model", "error", "store", "service", "app", "feed", "transfer", "http", "cli"];

/// The files of a folder, or the file itself
pub(crate) fn files(path: &Path) -> Vec<PathBuf> {
    if path.is_file() {
        return vec![path.to_owned()];
    }
    let Ok(entries) = fs::read_dir(path) else { return Vec::new() };
    entries.flat_map(|entry| files(&entry.unwrap().path())).collect()
}

#[test]
fn every_module_knows_only_those_before_it() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut looked_at = 0;
    for (place, layer) in ORDER.iter().enumerate() {
        for file in files(&source.join(format!("{layer}.rs"))).into_iter().chain(files(&source.join(layer))) {
            looked_at += 1;
            let text = fs::read_to_string(&file).unwrap();
            for later in &ORDER[place + 1..] {
                assert!(!text.contains(&format!("crate::{later}")), "{} knows {later}", file.display());
                assert!(!text.contains("use crate::{"), "{}: name the layer behind each crate::", file.display());
            }
        }
    }
    assert!(looked_at > 20, "the layers were not found");
}

#[test]
fn the_server_knows_nothing_of_what_stands_on_it() {
    let files = files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/http/server"));
    assert!(files.len() > 10, "the server was not found");
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        assert!(!text.contains("::api"), "{} knows the API", file.display());
    }
}
