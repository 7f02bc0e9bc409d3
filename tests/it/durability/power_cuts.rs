//! Power cuts of two kinds: disks rebuilt from a record of what was written and synced, and a real file system that is shut down
//! without its journal. What was acknowledged before is there, whole.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tidings::store::Location;

use super::crowd::Crowd;
use super::deeds::{self, DEEDS, Deed, States};
use super::disk::{Cut, Disk, Entry, Ignored, read};
use super::served::{serve_with, token};
use super::shim::{Shim, compile};
use super::{Chance, random_up_to, tally};
use crate::support::{Shell, is_long, say_left_out};

const CUTS: [Cut; 3] = [Cut::Synced, Cut::Torn, Cut::DataFirst];

/// How many entries of the record are done at each cut: some at random, half of them where something is synced or renamed, and the end
fn points(entries: &[Entry], count: usize, chance: &mut Chance) -> Vec<usize> {
    let decisive: Vec<usize> = (0..entries.len()).filter(|index| entries[*index].is_decisive()).collect();
    let mut points = chance.sample(count / 2, entries.len());
    points.extend(chance.sample(count / 2, decisive.len()).into_iter().map(|index| decisive[index] + chance.below(2)));
    points.insert(entries.len());
    points.into_iter().collect()
}

/// Whether a command that a power cut ended is done or not, and done where it had said so
fn look(deed: &Deed, image: &Path, states: &States, is_said: bool) -> Result<(), String> {
    let state = deeds::state(image)?;
    if state == states.after {
        return Ok(());
    }
    if is_said {
        return Err("what was acknowledged is lost".to_owned());
    }
    if !states.allow(&state) {
        return Err("it is half done".to_owned());
    }
    let again = deed.run(image, &[]);
    if again.status.code() != Some(0) {
        return Err(format!("it cannot be done again: {}", String::from_utf8_lossy(&again.stderr)));
    }
    if deeds::state(image)? != states.after {
        return Err("done again it comes to something else".to_owned());
    }
    Ok(())
}

#[test]
fn a_command_that_a_power_cut_ends_is_done_or_not_and_done_once_it_said_so() {
    let Some(shim) = Shim::compile("power cuts under commands") else { return };
    let template = deeds::template();
    let mut chance = Chance::new();
    let [live, image] = [deeds::folder(), deeds::folder()];
    let [live, image] = [live.path(), image.path()];
    let is_short_for = ["send", "back up", "first start"];
    let count = if is_long() { 12 } else { 3 };
    let mut cuts = 0;
    let mut wrong = Vec::new();
    for deed in DEEDS.iter().filter(|deed| is_long() || is_short_for.contains(&deed.name)) {
        let states = deed.states(&template, live);
        deeds::clear(live);
        deeds::copy(&template, live);
        fs::write(shim.record(), "").unwrap();
        let [mut disk, mut folders, mut everything] =
            [Ignored::Nothing, Ignored::Folders, Ignored::Everything].map(|ignored| Disk::of(live, ignored));
        let output = deed.run(live, &shim.recording(live));
        assert!(output.status.success(), "{}: {output:?}", deed.name);
        let entries = read(&shim.record());
        let mut done = 0;
        for point in points(&entries, count, &mut chance) {
            entries[done..point].iter().for_each(|entry| disk.step(entry));
            done = point;
            for cut in CUTS {
                cuts += 1;
                deeds::clear(image);
                disk.write(cut, &mut chance, image);
                let is_said = point == entries.len();
                if let Err(what) = look(deed, image, &states, is_said) {
                    wrong.push(format!("{}: {cut:?} at {point} of {}: {what}", deed.name, entries.len()));
                }
            }
        }
        // Without the syncs of folders no file that it makes is there for certain, and without any nothing.
        let makes_files = states.after.keys().any(|name| !states.before.contains_key(name));
        for (control, is_due) in [(&mut folders, makes_files), (&mut everything, states.before != states.after)] {
            for entry in &entries {
                control.step(entry);
            }
            deeds::clear(image);
            control.write(Cut::Synced, &mut chance, image);
            let is_lost = look(deed, image, &states, true).is_err();
            assert!(is_lost || !is_due, "{}: without syncs nothing is lost", deed.name);
        }
    }
    tally(cuts, "power cuts");
    assert!(wrong.is_empty(), "{} of {cuts}:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn what_a_server_and_commands_acknowledged_before_a_power_cut_is_there() {
    let Some(shim) = Shim::compile("power cuts under a server") else { return };
    let memory = deeds::folder();
    let shell = Shell::new_in(memory.path());
    let variables = shim.recording(&shell.path(""));
    let record = shim.record();
    // The time is how far the record is.
    let moment = || record.metadata().unwrap().len();
    let crowd = Crowd::new(&shell, "test.db", variables.clone()).with_moment(moment);
    let token = token(&shell, "test.db", "ann");
    fs::write(shim.record(), "").unwrap();
    let [mut disk, mut control] = [Ignored::Nothing, Ignored::Logs].map(|ignored| Disk::of(&shell.path(""), ignored));
    let server = serve_with(&shell, "test.db", &variables);
    let time = Duration::from_millis(if is_long() { 4000 } else { 500 });
    crowd.all_work_while(&server, &token, || thread::sleep(time));
    assert_eq!(server.stop(), Some(0));
    println!("{}", crowd.answers());
    let entries = read(&record);
    let mut chance = Chance::new();
    let image = Shell::new_in(memory.path());
    let location = Location::Sqlite(image.path("test.db"));
    let mut audit = |disk: &Disk, cut: Cut, point: usize| {
        deeds::clear(&image.path(""));
        disk.write(cut, &mut chance, &image.path(""));
        println!("{cut:?} at {point} of {}", entries.len());
        let until = if point == 0 { 0 } else { entries[point - 1].end };
        crowd.audit(&image, &location, "test.db", until)
    };
    let (mut cuts, mut done, mut lost) = (0, 0, 0);
    for point in points(&entries, if is_long() { 60 } else { 6 }, &mut Chance::new()) {
        for entry in &entries[done..point] {
            disk.step(entry);
            control.step(entry);
        }
        done = point;
        for cut in CUTS {
            cuts += 1;
            audit(&disk, cut, point);
        }
        // Where no sync of the log counts, the same audit finds that something is lost.
        if lost == 0 && catch_unwind(AssertUnwindSafe(|| audit(&control, Cut::Synced, point))).is_err() {
            lost += 1;
        }
    }
    assert!(lost > 0, "without the syncs of the log nothing is lost: the audit sees nothing");
    tally(cuts, "power cuts");
    tally(crowd.acknowledged(), "acknowledged writes");
}

/// An ext4 of its own on a loop device, and the program that shuts it down
struct FileSystem {
    folder: tempfile::TempDir,
}

impl FileSystem {
    /// None where it cannot be had: then it says what is not tested.
    fn make() -> Option<Self> {
        let system = Self { folder: tempfile::tempdir().unwrap() };
        fs::File::create(system.path("disk")).unwrap().set_len(256 << 20).unwrap();
        fs::create_dir(system.path("mounted")).unwrap();
        let is_made = compile("power.c", &system.path("power"), &[]) && system.format() && system.mount();
        if !is_made {
            say_left_out("power cuts of a real file system (they need a C compiler, root, ext4 and loop devices)");
            return None;
        }
        system.unmount();
        Some(system)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn run(&self, program: &str, arguments: &[&str]) -> bool {
        let mut command = Command::new(program);
        command.args(arguments).current_dir(self.folder.path()).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    }

    fn format(&self) -> bool {
        self.run("mkfs.ext4", &["-q", "-F", "disk"])
    }

    fn mount(&self) -> bool {
        self.run("mount", &["-o", "loop", "disk", "mounted"])
    }

    fn unmount(&self) {
        let start = Instant::now();
        while !self.run("umount", &["mounted"]) {
            assert!(start.elapsed() < Duration::from_secs(20), "it stays in use");
            thread::sleep(Duration::from_millis(20));
        }
    }

    fn cut(&self) {
        assert!(self.run("./power", &["mounted"]), "it cannot be shut down");
    }
}

impl Drop for FileSystem {
    fn drop(&mut self) {
        self.run("umount", &["--lazy", "mounted"]);
    }
}

#[test]
fn what_was_acknowledged_before_a_file_system_was_cut_off_is_there() {
    if !is_long() {
        return say_left_out("power cuts of a real file system (TIDINGS_TEST_LONG)");
    }
    let Some(system) = FileSystem::make() else { return };
    let Some(shim) = Shim::compile("power cuts of a real file system") else { return };
    let rounds = 12;
    let mut acknowledged = 0;
    for round in 0..=rounds {
        // In the last round no sync is done: then something must be lost.
        let is_control = round == rounds;
        assert!(system.format() && system.mount());
        let shell = Shell::new_in(&system.path("mounted"));
        let begin = Instant::now();
        let moment = || u64::try_from(begin.elapsed().as_micros()).unwrap();
        let variables = if is_control { shim.never_syncing(&shell.path("")) } else { Vec::new() };
        let crowd = Crowd::new(&shell, "test.db", variables.clone()).with_moment(moment);
        let token = token(&shell, "test.db", "ann");
        rustix::fs::sync();
        let mut server = serve_with(&shell, "test.db", &variables);
        let mut until = 0;
        crowd.all_work_while(&server, &token, || {
            thread::sleep(Duration::from_millis(200) + random_up_to(Duration::from_millis(1500)));
            // What is acknowledged while it is shut down may be lost: no power cut answers.
            until = moment();
            system.cut();
            crowd.kill(&server);
        });
        server.process.wait().unwrap();
        let name = shell.path("").strip_prefix(system.path("mounted")).unwrap().to_owned();
        system.unmount();
        assert!(system.mount());
        let image = Shell::new();
        deeds::clear(&image.path(""));
        for entry in fs::read_dir(system.path("mounted").join(&name)).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), image.path(entry.file_name().to_str().unwrap())).unwrap();
        }
        system.unmount();
        println!("round {round}: {}", crowd.answers());
        let location = Location::Sqlite(image.path("test.db"));
        let audit = || crowd.audit(&image, &location, "test.db", until);
        if is_control {
            assert!(catch_unwind(AssertUnwindSafe(audit)).is_err(), "without a single sync nothing is lost");
        } else {
            acknowledged += audit();
        }
    }
    tally(rounds, "power cuts");
    tally(acknowledged, "acknowledged writes");
}
