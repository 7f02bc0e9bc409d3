//! PostgreSQL fails under a server and commands: killed, stopped, cut off, locked, full. A server of their own, because it is.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use tidings::store::Location;

use super::crowd::Crowd;
use super::served::{messages_of, serve, token};
use super::{postgres_client, random_up_to, tally, texts};
use crate::server::Server;
use crate::support::{Shell, is_long, say_left_out, say_skipped};

/// A database server on a socket, gone at the end
pub(super) struct Cluster {
    folder: PathBuf,
    programs: PathBuf,
}

impl Cluster {
    /// None where its programs are missing: then it says what is not tested.
    pub(super) fn start() -> Option<Self> {
        let what = "PostgreSQL that fails";
        if !is_long() {
            say_left_out(&format!("{what} (TIDINGS_TEST_LONG)"));
            return None;
        }
        let Some(programs) = programs() else {
            say_skipped(&format!("{what} (initdb and pg_ctl are not installed)"));
            return None;
        };
        // Made by whoever runs the server, and in /tmp: the paths of sockets are short.
        let made = as_server("mktemp").args(["-d", "/tmp/tidings-postgres.XXXXXX"]).output().unwrap();
        assert!(made.status.success(), "{made:?}");
        let folder = PathBuf::from(String::from_utf8(made.stdout).unwrap().trim());
        let cluster = Self { folder, programs };
        let initdb = ["-D", "data", "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"];
        assert!(cluster.run("initdb", &initdb), "{}", cluster.log());
        cluster.up();
        Some(cluster)
    }

    fn run(&self, program: &str, arguments: &[&str]) -> bool {
        let log = fs::File::options().append(true).create(true).open(self.folder.join("programs.log")).unwrap();
        let mut command = as_server(self.programs.join(program).to_str().unwrap());
        command.args(arguments).current_dir(&self.folder).stdin(Stdio::null());
        // A group of its own, so that Ctrl-C does not end it before the tests do.
        command.stdout(log.try_clone().unwrap()).stderr(log).process_group(0).status().unwrap().success()
    }

    fn log(&self) -> String {
        ["programs.log", "log"].map(|name| fs::read_to_string(self.folder.join(name)).unwrap_or_default()).concat()
    }

    pub(super) fn up(&self) {
        let socket = format!("-c listen_addresses= -c unix_socket_directories={}", self.folder.display());
        let options = format!("{socket} -c fsync=off -c max_connections=60 -c max_wal_size=64MB");
        let start = Instant::now();
        // What was killed may hold on to its shared memory for a moment.
        while !self.run("pg_ctl", &["-D", "data", "-w", "-l", "log", "-o", &options, "start"]) {
            assert!(start.elapsed() < Duration::from_secs(30), "{}", self.log());
            thread::sleep(Duration::from_millis(100));
        }
    }

    pub(super) fn down(&self) {
        self.run("pg_ctl", &["-D", "data", "-m", "immediate", "-w", "stop"]);
    }

    pub(super) fn url(&self, database: &str) -> String {
        format!("postgres://postgres@{}/{database}", self.folder.to_str().unwrap().replace('/', "%2F"))
    }

    pub(super) fn execute(&self, database: &str, sql: &str) {
        postgres_client(&self.url(database)).batch_execute(sql).unwrap();
    }

    /// The processes of the server, its first one first
    fn processes(&self) -> Vec<Pid> {
        let file = fs::read_to_string(self.folder.join("data/postmaster.pid")).unwrap();
        let first: i32 = file.lines().next().unwrap().parse().unwrap();
        let children = fs::read_to_string(format!("/proc/{first}/task/{first}/children")).unwrap();
        let children = children.split_whitespace().map(|child| child.parse().unwrap());
        std::iter::once(first).chain(children).filter_map(Pid::from_raw).collect()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.down();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// A command of whoever may run a database server: root may not.
fn as_server(program: &str) -> Command {
    if !rustix::process::getuid().is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("runuser");
    command.args(["-u", "postgres", "--", program]);
    command
}

/// Where the programs of the server are: Debian keeps them out of PATH, in one folder for each version.
fn programs() -> Option<PathBuf> {
    let path = std::env::var("PATH").unwrap_or_default();
    let debian =
        fs::read_dir("/usr/lib/postgresql").into_iter().flatten().map(|entry| entry.unwrap().path().join("bin"));
    let has_both = |folder: &PathBuf| ["initdb", "pg_ctl"].iter().all(|name| folder.join(name).exists());
    path.split(':').map(PathBuf::from).chain(debian).find(has_both)
}

fn signal_all(processes: &[Pid], signal: Signal) {
    for process in processes {
        // It may have ended.
        let _ = kill_process(*process, signal);
    }
}

/// A database of its own on the cluster, with a crowd at work
struct Stage<'s> {
    cluster: &'s Cluster,
    server: &'s Server,
    url: &'s str,
    messages: &'s str,
    token: &'s str,
}

impl Stage<'_> {
    /// Waits until a message is sent again.
    fn wait_until_it_works(&self) {
        let start = Instant::now();
        loop {
            let sent = self.server.post(self.messages, self.token, &json!({ "content": "again" }));
            let ready = self.server.get("/health/ready", "");
            if sent.status == 201 && ready.status == 200 {
                return;
            }
            let waited = start.elapsed();
            assert!(
                waited < Duration::from_secs(20),
                "{waited:?} after it: {sent:?}, {ready:?}, {}",
                self.server.log()
            );
            thread::sleep(Duration::from_millis(50));
        }
    }
}

/// Lets a scene happen, so many times, while everybody works, and audits what comes of it.
fn play(cluster: &Cluster, name: &str, rounds: usize, scene: impl Fn(&Stage)) {
    println!("{name}");
    cluster.execute("postgres", &format!("CREATE DATABASE {name}"));
    play_on(cluster, name, rounds, scene);
    cluster.execute("postgres", &format!("DROP DATABASE {name} WITH (FORCE)"));
}

fn play_on(cluster: &Cluster, name: &str, rounds: usize, scene: impl Fn(&Stage)) {
    let url = cluster.url(name);
    let shell = Shell::new();
    let location = Location::parse(&url).unwrap();
    let crowd = Crowd::new(&shell, &url, Vec::new());
    let token = token(&shell, &url, "ann");
    let server = serve(&shell, &url);
    let messages = messages_of(&server, &token);
    for _ in 0..rounds {
        crowd.all_work_while(&server, &token, || {
            thread::sleep(Duration::from_millis(300) + random_up_to(Duration::from_millis(900)));
            scene(&Stage { cluster, server: &server, url: &url, messages: &messages, token: &token });
        });
        println!("{}", crowd.answers());
        crowd.audit(&shell, &location, &url, u64::MAX);
    }
    assert_eq!(server.stop(), Some(0));
    tally(crowd.acknowledged(), "acknowledged writes");
}

#[test]
fn what_was_acknowledged_outlives_a_database_server_that_fails() {
    let Some(cluster) = Cluster::start() else { return };
    play(&cluster, "killed", 3, |stage| {
        let processes = stage.cluster.processes();
        signal_all(&processes, Signal::KILL);
        tally(processes.len(), "kills");
        stage.cluster.up();
        stage.wait_until_it_works();
    });
    play(&cluster, "one_killed", 2, |stage| {
        let find = "SELECT CAST(pid AS TEXT) FROM pg_stat_activity
            WHERE datname = current_database() AND pid <> pg_backend_pid() LIMIT 1";
        for process in texts(&Location::parse(stage.url).unwrap(), find) {
            signal_all(&[Pid::from_raw(process.parse().unwrap()).unwrap()], Signal::KILL);
            tally(1, "kills");
        }
        stage.wait_until_it_works();
    });
    play(&cluster, "ended", 2, |stage| {
        stage.cluster.down();
        thread::sleep(Duration::from_millis(300));
        assert_eq!(stage.server.get("/health/ready", "").status, 503);
        stage.cluster.up();
        stage.wait_until_it_works();
    });
    play(&cluster, "cut", 3, |stage| {
        let mut client = postgres_client(stage.url);
        for _ in 0..15 {
            let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                WHERE datname = current_database() AND pid <> pg_backend_pid() AND state <> 'idle'";
            client.batch_execute(cut).unwrap();
            thread::sleep(random_up_to(Duration::from_millis(40)));
        }
        stage.wait_until_it_works();
    });
    play(&cluster, "stopped", 1, |stage| {
        let processes = stage.cluster.processes();
        signal_all(&processes, Signal::STOP);
        thread::sleep(Duration::from_secs(3));
        assert_eq!(stage.server.get("/health/live", "").status, 200);
        signal_all(&processes, Signal::CONT);
        stage.wait_until_it_works();
    });
    play(&cluster, "locked", 1, |stage| {
        let mut client = postgres_client(stage.url);
        client.batch_execute("BEGIN; SELECT key FROM conversation WHERE name = 'team' FOR UPDATE").unwrap();
        thread::sleep(Duration::from_secs(2));
        stage.server.get(stage.messages, stage.token).expect(200);
        client.batch_execute("COMMIT").unwrap();
        stage.wait_until_it_works();
    });
}

#[test]
fn a_write_that_postgresql_does_not_confirm_is_settled_by_its_key() {
    let Some(cluster) = Cluster::start() else { return };
    play(&cluster, "unconfirmed", 1, |stage| {
        // Every commit is done, and waits for a server that is not there to have it too.
        let mut client = postgres_client(stage.url);
        let set = |client: &mut postgres::Client, name: &str| {
            client.batch_execute(&format!("ALTER SYSTEM SET synchronous_standby_names = '{name}'")).unwrap();
            client.batch_execute("SELECT pg_reload_conf()").unwrap();
        };
        client.batch_execute("SET synchronous_commit = off").unwrap();
        set(&mut client, "nobody");
        let mut cut = 0;
        let start = Instant::now();
        while cut == 0 {
            assert!(start.elapsed() < Duration::from_secs(20), "nobody waits");
            thread::sleep(Duration::from_millis(100));
            let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
            cut = client.query(end, &[]).unwrap().len();
        }
        println!("{cut} were cut off at their COMMIT");
        set(&mut client, "");
        stage.wait_until_it_works();
    });
}

/// A small file system in memory for the database server's user
struct SmallDisk<'p>(&'p Path);

impl<'p> SmallDisk<'p> {
    fn mount(path: &'p Path) -> Option<Self> {
        assert!(as_server("mkdir").arg(path).status().unwrap().success());
        let options = format!("size=48m,mode=700,uid={}", path.metadata().unwrap().uid());
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(path).output();
        mounted.is_ok_and(|mounted| mounted.status.success()).then_some(Self(path))
    }
}

impl Drop for SmallDisk<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.0).status();
    }
}

#[test]
fn a_full_disk_of_postgresql_is_named_and_nothing_is_lost_by_it() {
    let Some(cluster) = Cluster::start() else { return };
    let path = cluster.folder.join("small");
    let Some(_disk) = SmallDisk::mount(&path) else {
        return say_left_out("a full disk of PostgreSQL (only root mounts one)");
    };
    // Only what it holds lies on the small disk: without its log the whole server would end.
    cluster.execute("postgres", &format!("CREATE TABLESPACE small LOCATION '{}'", path.display()));
    cluster.execute("postgres", "CREATE DATABASE filled TABLESPACE small");
    play_on(&cluster, "filled", 1, |stage| {
        let ballast = path.join("ballast");
        let _ = fs::write(&ballast, vec![0; 64 << 20]);
        let start = Instant::now();
        let long = "words of a long message ".repeat(1000);
        loop {
            let sent = stage.server.post(stage.messages, stage.token, &json!({ "content": long }));
            if sent.status == 507 {
                sent.problem(507, "no_space");
                break;
            }
            assert!(sent.status == 201 && start.elapsed() < Duration::from_secs(30), "{sent:?}");
        }
        fs::remove_file(&ballast).unwrap();
        stage.wait_until_it_works();
    });
}
