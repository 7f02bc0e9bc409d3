//! A watch that is killed, and one under which the database server is restarted: nothing is left out.

use std::fs;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use tidings::store::Location;

use super::postgres::Cluster;
use super::{bash, on_every_address, random_up_to, tally};
use crate::cli::watch::Going;
use crate::support::{Shell, World, is_long};

#[test]
fn a_watch_that_is_killed_handles_every_event_at_least_once_and_in_order() {
    on_every_address(|shell, location, address| {
        let kills = if is_long() { 20 } else { 3 };
        let world = World::open(location.clone());
        let [ann, bob] = ["ann", "bob"].map(|name| world.user(name));
        world.group("team", &ann, &[&bob]);
        let watch = r#"exec "$0" --db "$1" watch --event message.created --cursor-file cursor --exec 'jq .message.number >>handled'"#;
        shell.done(&format!("watch --count 0 --cursor-file cursor --db {address}"));
        let handled = || -> Vec<usize> {
            let text = fs::read_to_string(shell.path("handled")).unwrap_or_default();
            // The last line may not be whole yet.
            text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n')?.parse().ok()).collect()
        };
        // There is something to handle at every kill.
        let is_enough = Arc::new(AtomicBool::new(false));
        let sender = thread::spawn({
            let (location, ann, is_enough) = (location.clone(), ann.clone(), Arc::clone(&is_enough));
            move || -> usize {
                let world = World::open(location);
                let mut count = 0;
                while !is_enough.load(Ordering::Relaxed) {
                    world.send(&ann, "team", "a word");
                    count += 1;
                    thread::sleep(Duration::from_millis(40));
                }
                count
            }
        });
        for _ in 0..kills {
            let mut running =
                bash(shell, watch, address, &[]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
            thread::sleep(random_up_to(Duration::from_millis(800)));
            running.kill().unwrap();
            running.wait().unwrap();
        }
        is_enough.store(true, Ordering::Relaxed);
        let count = sender.join().unwrap();
        let mut running = bash(shell, watch, address, &[]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let start = Instant::now();
        while handled().last() != Some(&count) {
            assert!(start.elapsed() < Duration::from_mins(2), "{:?}", handled());
            thread::sleep(Duration::from_millis(20));
        }
        running.kill().unwrap();
        running.wait().unwrap();
        let all = handled();
        let mut first = Vec::new();
        for number in &all {
            if !first.contains(number) {
                first.push(*number);
            }
        }
        assert_eq!(first, (1..=count).collect::<Vec<_>>(), "{all:?}");
        assert!(all.len() <= count + kills, "more came again than was interrupted: {all:?}");
        for file in ["cursor", "handled"] {
            fs::remove_file(shell.path(file)).unwrap();
        }
        tally(kills, "kills of a watch");
    });
}

#[test]
fn ten_watches_go_on_when_the_database_server_comes_again() {
    let Some(cluster) = Cluster::start() else { return };
    cluster.execute("postgres", "CREATE DATABASE watched");
    let address = cluster.url("watched");
    let shell = Shell::new();
    let open = || World::open(Location::parse(&address).unwrap());
    let world = open();
    let [ann, bob] = ["ann", "bob"].map(|name| world.user(name));
    world.group("team", &ann, &[&bob]);
    drop(world);
    let watches: Vec<Going> = (0..10)
        .map(|_| {
            let going = Going::begin(&shell, &format!("watch --event message.created -o jsonl --db {address}"));
            assert!(going.said().starts_with("Watching "));
            going
        })
        .collect();
    for round in 0..5 {
        open().send(&ann, "team", &round.to_string());
        if round % 2 == 1 {
            // What is sent just before the end is heard after it, if not before.
            cluster.down();
            thread::sleep(Duration::from_millis(1500));
            cluster.up();
        }
        for going in &watches {
            let event: Value = serde_json::from_str(&going.line()).unwrap();
            assert_eq!(event["message"]["content"], round.to_string());
        }
    }
    tally(2, "restarts of PostgreSQL under ten watches");
}
