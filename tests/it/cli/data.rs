//! `tidings data`

mod apply;
mod dump;
mod load;
mod packed;
mod seed;

use crate::support::Shell;

/// A file of records that can be loaded
const GOOD: &str = r#"{"type":"user","username":"eve"}
{"type":"user","username":"joe"}
{"type":"conversation","name":"room","participants":["eve","joe"]}
{"type":"message","conversation":"room","sender":"eve","content":"hello","key":"m1","timestamp":"2025-01-01T09:00:00Z"}
{"type":"message","conversation":"room","sender":"joe","content":"hi","reply_to":"m1","timestamp":"2025-01-01T09:01:00Z"}
"#;

fn write(shell: &Shell, name: &str, content: impl AsRef<[u8]>) {
    std::fs::write(shell.path(name), content).unwrap();
}

/// The names of all files of the folder and of the folder for temporary files
fn files(shell: &Shell) -> Vec<String> {
    let names = |folder: &str| {
        let found = std::fs::read_dir(shell.path(folder)).into_iter().flatten();
        found.map(|file| file.unwrap().file_name().into_string().unwrap()).collect::<Vec<_>>()
    };
    let mut all = [names(""), names("tmp")].concat();
    all.sort();
    all
}
