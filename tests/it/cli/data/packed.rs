//! Files that are packed, well, badly or to do harm: each at the command line, where time and memory count.

use std::io::Write;
use std::process::Command;
use std::time::{Duration, Instant};

use flate2::{Compression, write::GzEncoder};
use insta::assert_snapshot;

use super::{GOOD, write};
use crate::cli::shell;
use crate::support::Shell;

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// What is said of a file that has to be refused soon, with no more than 400 MiB of memory
fn refused_soon(shell: &Shell, line: &str) -> String {
    let before = shell.dump();
    let start = Instant::now();
    let script = format!("ulimit -v 409600; exec '{}' --db test.db {line}", env!("CARGO_BIN_EXE_tidings"));
    let output = Command::new("sh").args(["-c", &script]).env_clear().current_dir(shell.path("")).output().unwrap();
    assert!(start.elapsed() < Duration::from_secs(30), "{line} took {:?}", start.elapsed());
    assert_eq!(output.status.code(), Some(6), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(shell.dump(), before);
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn a_bomb_of_ten_gigabytes_is_refused_soon() {
    let shell = shell();
    for (name, byte) in [("zeros.gz", 0), ("lines.gz", b'\n'), ("spaces.yaml.gz", b' ')] {
        write(&shell, name, gzip(&vec![byte; 10_000_000]).repeat(1000));
    }
    let mut yaml = gzip(b"[ ]\n");
    yaml.extend(gzip(&b"# a remark\n".repeat(900_000)).repeat(1000));
    write(&shell, "remarks.yaml.gz", yaml);
    assert_snapshot!(refused_soon(&shell, "data load zeros.gz"), @"
    zeros.gz:1: It cannot be read any further: the line is longer than 32 MiB.
    tidings: zeros.gz has a problem; nothing was changed.
    ");
    assert_snapshot!(refused_soon(&shell, "data load lines.gz"), @"
    lines.gz:67077889: It cannot be read any further: it unpacks to more than 250 times its size; if that is meant, unpack it first.
    tidings: lines.gz has a problem; nothing was changed.
    ");
    assert_snapshot!(refused_soon(&shell, "data apply spaces.yaml.gz"), @"
    tidings: spaces.yaml.gz has 32 MiB or more, too many for a fixture.
    hint: Make it JSON Lines and load it: tidings data load FILE
    ");
    assert_snapshot!(refused_soon(&shell, "data apply remarks.yaml.gz"), @"
    tidings: remarks.yaml.gz has 32 MiB or more, too many for a fixture.
    hint: Make it JSON Lines and load it: tidings data load FILE
    ");
    assert_snapshot!(refused_soon(&shell, "data import django lines.gz"), @"
    lines.gz:67077889: It cannot be read any further: it unpacks to more than 250 times its size; if that is meant, unpack it first.
    tidings: lines.gz has a problem; nothing was changed.
    ");
}

#[test]
fn a_packed_file_that_is_cut_off_or_spoilt_is_refused() {
    let shell = shell();
    let whole = gzip(GOOD.as_bytes());
    write(&shell, "cut.gz", &whole[..whole.len() - 10]);
    assert_snapshot!(refused_soon(&shell, "data load cut.gz"), @"
    cut.gz:5: It cannot be read any further: incomplete deflate stream.
    tidings: cut.gz has a problem; nothing was changed.
    ");
    let mut spoilt = whole.clone();
    let last = spoilt.len() - 6;
    spoilt[last] ^= 1;
    write(&shell, "spoilt.gz", &spoilt);
    assert_snapshot!(refused_soon(&shell, "data load spoilt.gz"), @"
    spoilt.gz:6: It cannot be read any further: corrupt gzip stream does not have a matching checksum.
    tidings: spoilt.gz has a problem; nothing was changed.
    ");
    write(&shell, "more.gz", [whole.as_slice(), b"{\"type\":\"user\"}"].concat());
    assert_snapshot!(refused_soon(&shell, "data load more.gz"), @"
    more.gz:6: It cannot be read any further: invalid gzip header.
    tidings: more.gz has a problem; nothing was changed.
    ");
    write(&shell, "whole.gz", &whole);
    shell.done("data load whole.gz");
}

#[test]
fn zstd_is_read_with_frames_to_skip() {
    let shell = shell();
    // As parallel compressors write them: how long the next frame is, for whoever unpacks it.
    let skipped = |number: u8| [&[0x50 + number, 0x2A, 0x4D, 0x18, 4, 0, 0, 0][..], b"what"].concat();
    let frame = |text: &str| zstd::encode_all(text.as_bytes(), 0).unwrap();
    let (first, rest) = GOOD.split_at(GOOD.find("\n{\"type\":\"conv").unwrap());
    let packed = [skipped(0), skipped(15), frame(first), skipped(7), frame(rest), skipped(0)].concat();
    write(&shell, "records.zst", packed);
    shell.done("data load records.zst");
    assert_eq!(shell.done("message list room -o ids").stdout.lines().count(), 2);
    write(&shell, "world.yaml.zst", [skipped(3), frame("- {type: user, username: zoe}")].concat());
    shell.done("data apply world.yaml.zst");
}
