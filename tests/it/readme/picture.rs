//! The picture of the program in a terminal: what it really prints there, as an SVG file.

use std::fmt::Write;
use std::fs;

use super::{is_updating, path};
use crate::support::Shell;
use crate::terminal::Terminal;

const FILE: &str = "docs/terminal.svg";

/// What is played, each at its time; only what is marked is seen.
const STEPS: [(bool, &str, &str); 11] = [
    (false, "08:00", "user create alice --no-password"),
    (false, "08:00", "user create bob --no-password"),
    (false, "08:00", "user create carol --no-password"),
    (false, "08:00", "conversation create bob carol --name support --as alice"),
    (false, "08:05", "message send support 'Lunch at noon, @bob?' --as alice"),
    (false, "08:50", "message send support 'Yes. At the harbour?' --reply-to support#1 --as bob"),
    (true, "09:00", "message list support"),
    (true, "09:00", "message edit support#1 'Lunch at one, @bob?' --reason 'the ferry is late' --as alice"),
    (true, "09:02", "message history support#1 --diff"),
    (true, "09:02", "notifications list --as alice"),
    (true, "09:02", "message search harbour --as carol"),
];

/// How many columns the terminal has
const COLUMNS: usize = 100;

/// What a terminal shows of the steps, with its colours
fn play() -> String {
    let shell = Shell::new();
    let mut lines = format!("stty cols {COLUMNS} rows 50\nexport TIDINGS_DB=tour.db TIDINGS_SEED=1\n");
    for (is_seen, time, step) in STEPS {
        if is_seen {
            // In bold, as what somebody typed
            let typed = step.replace('\'', "'\\''");
            writeln!(lines, "printf '\\033[2m$\\033[0m \\033[1m%s\\033[0m\\n' 'tidings {typed}'").unwrap();
        }
        let hidden = if is_seen { "" } else { " >hidden 2>&1" };
        writeln!(lines, "TIDINGS_NOW=2026-01-01T{time}:00Z '{}' {step}{hidden}", env!("CARGO_BIN_EXE_tidings"))
            .unwrap();
    }
    fs::write(shell.path("play.sh"), lines).unwrap();
    let bare = "exec env -i HOME=. PATH=\"$PATH\" TERM=xterm sh -e play.sh";
    let (shown, status) = Terminal::open(&shell.path(""), bare).end();
    assert!(status.success(), "{shown}");
    shown.replace("\r\n", "\n")
}

/// The class of a style that a terminal is told by this number
fn class(code: &str) -> &'static str {
    match code {
        "1" => "bold",
        "2" => "faint",
        "31" => "red",
        "32" => "green",
        "33" => "yellow",
        "36" => "cyan",
        _ => panic!("the picture knows no style {code}"),
    }
}

/// A line of a terminal as pieces of text, each with its classes
fn pieces(line: &str) -> Vec<(String, &str)> {
    let mut pieces = Vec::new();
    let mut classes: Vec<&str> = Vec::new();
    for (index, part) in line.split("\x1b[").enumerate() {
        let text = if index == 0 {
            part
        } else {
            let (codes, text) = part.split_once('m').unwrap();
            for code in codes.split(';') {
                if code.is_empty() || code == "0" {
                    classes.clear();
                } else {
                    classes.push(class(code));
                }
            }
            text
        };
        if !text.is_empty() {
            pieces.push((classes.join(" "), text));
        }
    }
    pieces
}

/// Draws what a terminal shows. Every piece has its place, so that columns line up in any font.
fn draw(shown: &str) -> String {
    const WIDTH: usize = 8;
    const HEIGHT: usize = 20;
    const MARGIN: usize = 16;
    let lines: Vec<&str> = shown.lines().collect();
    let width = COLUMNS * WIDTH + 2 * MARGIN;
    let height = lines.len() * HEIGHT + 2 * MARGIN;
    let mut picture = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" xml:space=\"preserve\">\n\
         <title>tidings in a terminal</title>\n\
         <style>\n\
         text {{ font: 13px ui-monospace, Menlo, Consolas, \"DejaVu Sans Mono\", monospace; fill: #d8dee9; }}\n\
         .bold {{ font-weight: bold; fill: #ffffff; }}\n\
         .faint {{ fill: #8b95a7; }}\n\
         .red {{ fill: #f28b82; }}\n\
         .green {{ fill: #8ccf7e; }}\n\
         .yellow {{ fill: #f2c14e; }}\n\
         .cyan {{ fill: #7cc5d9; }}\n\
         </style>\n\
         <rect width=\"{width}\" height=\"{height}\" rx=\"8\" fill=\"#1e222a\"/>\n"
    );
    for (index, line) in lines.iter().enumerate() {
        let y = MARGIN + index * HEIGHT + 14;
        let mut column = 0;
        for (classes, text) in pieces(line) {
            let end = column + text.chars().count();
            let text = text.trim_start();
            let columns = text.chars().count();
            if columns > 0 {
                let escaped = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
                let class = if classes.is_empty() { String::new() } else { format!(" class=\"{classes}\"") };
                let (x, length) = (MARGIN + (end - columns) * WIDTH, columns * WIDTH);
                writeln!(picture, "<text x=\"{x}\" y=\"{y}\" textLength=\"{length}\"{class}>{escaped}</text>").unwrap();
            }
            column = end;
        }
        assert!(column <= COLUMNS, "wider than the terminal: {line}");
    }
    picture + "</svg>\n"
}

#[test]
fn the_picture_of_a_terminal_is_what_a_terminal_shows() {
    let picture = draw(&play());
    if is_updating() {
        return fs::write(path(FILE), picture).unwrap();
    }
    let before = fs::read_to_string(path(FILE)).unwrap_or_default();
    assert_eq!(before, picture, "TIDINGS_UPDATE=1 cargo test -- readme writes {FILE}");
}

#[test]
fn a_picture_keeps_colours_and_what_svg_would_take_for_its_own() {
    let picture = draw("plain \x1b[1m\x1b[36m<bold> & cyan\x1b[0m plain");
    let piece = "<text x=\"64\" y=\"30\" textLength=\"104\" class=\"bold cyan\">&lt;bold&gt; &amp; cyan</text>";
    assert!(picture.contains(piece), "{picture}");
    assert!(picture.contains("<text x=\"176\" y=\"30\" textLength=\"40\">plain</text>"), "{picture}");
}
