//! Links between documents lead to files and headings that are there.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::{DOCUMENTS, TEXTS, path};

/// The lines of a document outside blocks of code
fn prose(document: &str) -> impl Iterator<Item = &str> {
    let mut in_code = false;
    document.lines().filter(move |line| {
        let is_fence = line.starts_with("```");
        in_code ^= is_fence;
        !in_code && !is_fence
    })
}

/// The headings below the title: how deep each is, and its text
fn headings(document: &str) -> impl Iterator<Item = (usize, &str)> {
    prose(document).filter_map(|line| {
        let (marks, text) = line.split_once(' ')?;
        (marks.len() > 1 && marks.chars().all(|mark| mark == '#')).then_some((marks.len(), text))
    })
}

/// What a link to a heading says behind the `#`
fn anchor(heading: &str) -> String {
    let kept = heading.to_lowercase();
    let kept = kept.chars().filter(|character| character.is_alphanumeric() || " -_".contains(*character));
    kept.map(|character| if character == ' ' { '-' } else { character }).collect()
}

/// A list of links to a document's headings
pub(super) fn contents(document: &str) -> String {
    let line = |(depth, text)| format!("{}- [{text}](#{})\n", "  ".repeat(depth - 2), anchor(text));
    headings(document).map(line).collect()
}

/// The files of the project whose names end in `.md`, in any folder that is not hidden
fn documents(folder: &Path, found: &mut BTreeSet<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let (name, path) = (entry.file_name().into_string().unwrap(), entry.path());
        if entry.file_type().unwrap().is_dir() {
            if !name.starts_with('.') && name != "target" {
                documents(&path, found);
            }
        } else if path.extension().is_some_and(|extension| extension == "md") {
            found.insert(path);
        }
    }
}

#[test]
fn every_link_leads_to_something_that_is_there() {
    let mut found = BTreeSet::new();
    documents(&path(""), &mut found);
    let mut count = 0;
    for document in found {
        let text = fs::read_to_string(&document).unwrap();
        let prose: Vec<&str> = prose(&text).collect();
        for target in prose.join("\n").split("](").skip(1).map(|rest| rest.split(')').next().unwrap()) {
            if target.starts_with("https://") {
                continue;
            }
            count += 1;
            let (file, heading) =
                target.split_once('#').map_or((target, None), |(file, heading)| (file, Some(heading)));
            let file = if file.is_empty() { document.clone() } else { document.parent().unwrap().join(file) };
            assert!(file.exists(), "{}: {target}", document.display());
            if let Some(heading) = heading {
                let there = fs::read_to_string(&file).unwrap();
                let is_there = headings(&there).any(|(_, text)| anchor(text) == heading);
                assert!(is_there, "{}: {target}", document.display());
            }
        }
    }
    assert!(count > 50, "only {count} links were found");
}

#[test]
fn the_readme_is_short_and_leads_to_every_guide() {
    let readme = &TEXTS["README.md"];
    assert!(readme.lines().count() <= 250, "{} lines", readme.lines().count());
    let mut guides = BTreeSet::new();
    documents(&path("docs"), &mut guides);
    for guide in guides {
        let name = format!("docs/{}", guide.file_name().unwrap().display());
        assert!(readme.contains(&format!("]({name})")), "the README does not lead to {name}");
        assert!(DOCUMENTS.iter().any(|(known, _)| *known == name), "the examples of {name} are not run");
    }
}
