//! What is deleted leaves the file: no byte of it is found in the database and what stands beside it.

use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::server::Server;
use crate::support::Shell;

/// Which of the words stand in the file, its write-ahead log or its shared memory
pub(crate) fn left<'w>(shell: &Shell, words: &[&'w str]) -> Vec<(&'static str, &'w str)> {
    let mut left = Vec::new();
    // A server moves what stands in the log into the file, never back: so nothing is missed.
    for file in ["test.db-wal", "test.db-shm", "test.db"] {
        let bytes = fs::read(shell.path(file)).unwrap_or_default().to_ascii_lowercase();
        for word in words {
            if bytes.windows(word.len()).any(|part| part == word.as_bytes()) {
                left.push((file, *word));
            }
        }
    }
    left
}

/// A group with enough said in it that the index has several segments
fn world() -> Shell {
    let shell = Shell::new();
    for name in ["ann", "bob", "eve"] {
        shell.done(&format!("user create {name} --no-password"));
    }
    shell.done("conversation create ann bob eve --name team");
    shell.done("conversation create ann bob --name club");
    for number in 0..40 {
        shell.done(&format!("message send team 'harmless words number{number}' --as eve"));
    }
    shell
}

#[test]
fn what_is_deleted_by_any_route_leaves_no_byte() {
    let shell = world();
    shell.done("message send team 'qqalone one' --as ann");
    shell.done("message send team 'qqfirst text' --as ann");
    shell.done("message edit team#42 'qqsecond text' --reason qqreason --as ann");
    shell.done("message send club 'qqclub words' --as bob");
    shell.done("message send team 'qqanswer' --reply-to team#42 --as eve");
    shell.done("message send --to ann 'qqdirect words' --as bob");
    shell.done("message send team 'qqaccount words' --as bob");
    let planted = ["qqalone", "qqfirst", "qqsecond", "qqreason", "qqclub", "qqdirect", "qqaccount"];
    assert_eq!(left(&shell, &planted).iter().filter(|(file, _)| *file == "test.db").count(), planted.len());

    shell.done("message delete team#41 --yes");
    assert_eq!(left(&shell, &["qqalone"]), []);
    shell.done("message delete team#42 --yes");
    assert_eq!(left(&shell, &["qqfirst", "qqsecond", "qqreason"]), [], "a tombstone and its revisions");
    shell.done("conversation delete club --yes");
    assert_eq!(left(&shell, &["qqclub"]), []);
    shell.done("user delete bob --yes");
    assert_eq!(left(&shell, &planted), []);
    assert_eq!(left(&shell, &["qqanswer"]).len(), 1, "what stays is still there");
}

#[test]
fn people_places_and_what_ends_with_them_leave_no_byte() {
    let shell = world();
    shell.done(
        "user create qquser --email qqmail@example.org --first-name Qqfirstname --last-name Qqlastname --no-password",
    );
    shell.done("conversation create qquser bob --name qqname --title 'A qqtitle'");
    shell.done("message send qqname 'Qqété and more' --as qquser");
    shell.done("conversation create ann --name qqleft --as eve");
    shell.done("message send qqleft 'qqending words' --idempotency-key qqkey --as eve");
    let long = format!("qqlong {}", "a word on several pages ".repeat(2000));
    shell.done_with(&["message", "send", "team", &long, "--as", "bob"]);
    let planted = [
        "qquser",
        "qqmail",
        "qqfirstname",
        "qqlastname",
        "qqname",
        "qqtitle",
        "qqété",
        "qqete",
        "qqleft",
        "qqending",
        "qqlong",
    ];
    assert!(left(&shell, &planted).len() >= planted.len());

    shell.done("conversation remove qqleft ann eve --yes");
    assert_eq!(left(&shell, &["qqleft", "qqending"]), [], "a group that ended with its last participant");
    shell.done("user delete qquser bob --yes");
    assert_eq!(left(&shell, &planted), []);
}

#[test]
fn what_a_fixture_does_not_name_leaves_no_byte_once_it_is_pruned() {
    let shell = world();
    shell.done("user create qquser --first-name Qqfirstname --no-password");
    shell.done("conversation create ann bob --name qqroom");
    shell.done("message send qqroom 'qqending words' --as ann");
    shell.done("message send team 'qqalone words' --as ann");
    shell.done("message edit team#41 'qqsecond words' --reason qqreason --as ann");
    let planted = ["qquser", "qqfirstname", "qqroom", "qqending", "qqalone", "qqsecond", "qqreason"];
    assert!(planted.iter().all(|word| !left(&shell, &[word]).is_empty()));
    let fixture = "
- {type: user, username: ann}
- {type: user, username: bob}
- {type: user, username: eve}
- {type: conversation, name: team, participants: [ann, bob, eve]}
";
    fs::write(shell.path("fixture.yaml"), fixture).unwrap();
    shell.done("data apply fixture.yaml --prune --yes");
    assert_eq!(left(&shell, &planted), []);
    assert_eq!(left(&shell, &["harmless"]), [], "messages are pruned too");
}

#[test]
fn a_result_that_nobody_reads_keeps_nothing_from_being_scrubbed() {
    let shell = world();
    shell.done("message send team 'qqpiped words' --as ann");
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let program = env!("CARGO_BIN_EXE_tidings");
    let deleted = Command::new(program)
        .args(["--db", "test.db", "user", "delete", "ann", "--yes"])
        .current_dir(shell.path(""))
        .stdout(full)
        .output()
        .unwrap();
    assert_eq!(deleted.status.code(), Some(1), "{deleted:?}");
    assert_eq!(left(&shell, &["qqpiped"]), []);
}

#[test]
fn of_two_erasures_at_once_neither_loses_the_other() {
    let shell = world();
    shell.done("message send team 'qqone words' --as ann");
    shell.done("message send team 'qqtwo words' --as ann");
    let start = |line: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tidings"));
        command.args(["--db", "test.db"]).args(line.split(' ')).current_dir(shell.path(""));
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    };
    for mut deletion in [start("message delete team#41 --yes"), start("message delete team#42 --yes")] {
        assert!(deletion.wait().unwrap().success());
    }
    // Whichever was in the other's way, it is known.
    shell.done("db compact");
    assert_eq!(left(&shell, &["qqone", "qqtwo"]), []);
    assert!(shell.done("db status -o json").stdout.contains("\"pending\": []"));
}

#[test]
fn a_reader_makes_the_erasure_wait_and_the_status_says_so() {
    let shell = world();
    shell.done("message send team 'qqsecret words' --as ann");
    let reader = rusqlite::Connection::open(shell.path("test.db")).unwrap();
    reader.execute_batch("BEGIN").unwrap();
    reader.query_row("SELECT count(*) FROM message", [], |_| Ok(())).unwrap();
    let run = shell.done("message delete team#41 --yes");
    assert!(run.stderr.contains("another program is using the database"), "{run}");
    let status = shell.done("db status -o json");
    assert!(status.stdout.contains("\"erase\""), "{status}");
    let doctor = shell.done("doctor");
    assert!(doctor.stdout.contains("warning · erasure"), "{doctor}");
    reader.execute_batch("COMMIT").unwrap();
    drop(reader);
    shell.done("db compact");
    assert_eq!(left(&shell, &["qqsecret"]), []);
    let status = shell.done("db status -o json");
    assert!(!status.stdout.contains("\"erase\""), "{status}");
}

#[test]
fn what_is_deleted_over_rest_leaves_no_byte_while_the_server_runs() {
    let shell = world();
    for name in ["root", "gus"] {
        shell.run_with(&format!("user create {name} --role admin --password-stdin"), "correct horse 7");
    }
    shell.done("conversation create gus ann --name qqroom --title 'A qqtitle' --as gus");
    let server = Server::on(&shell.path(""), &[]);
    let [root, gus] = ["root", "gus"].map(|name| server.log_in(name, "correct horse 7").0);
    let groups = server.get("/api/conversations/", &gus).expect(200).json();
    let place = format!("/api/conversations/{}/", groups["results"][0]["conversation_id"].as_str().unwrap());
    let send = |content: &str, parent: Option<&str>| {
        let new = json!({ "content": content, "parent_message": parent });
        let key = content.replace("qq", "");
        let headers = [("Idempotency-Key", key.as_str())];
        let sent = server.ask("POST", &format!("{place}messages/"), &gus, &headers, Some(&new)).expect(201).json();
        sent["message_id"].as_str().unwrap().to_owned()
    };
    let delete = |path: &str, token: &str| server.ask("DELETE", path, token, &[], None).expect(204);
    let wait_until_gone = |words: &[&str]| {
        let start = Instant::now();
        while !left(&shell, words).is_empty() {
            assert!(start.elapsed() < Duration::from_secs(20), "{:?}", left(&shell, words));
            std::thread::sleep(Duration::from_millis(50));
        }
    };
    let alone = send("qqalone words", None);
    let first = send("qqfirst words", None);
    send("qqanswer words", Some(&first));
    let message = |id: &str| format!("/api/messages/{id}/");
    let edit = json!({ "content": "qqsecond words", "reason": "qqreason" });
    server.ask("PATCH", &message(&first), &gus, &[], Some(&edit)).expect(200);
    let planted = ["qqalone", "qqfirst", "qqsecond", "qqreason", "qqanswer", "qqtitle", "qqroom"];
    assert!(planted.iter().all(|word| !left(&shell, &[word]).is_empty()));

    delete(&message(&alone), &gus);
    wait_until_gone(&["qqalone"]);
    delete(&message(&first), &root);
    wait_until_gone(&["qqfirst", "qqsecond", "qqreason"]);
    assert!(!left(&shell, &["qqanswer"]).is_empty(), "what stays is still there");
    delete(&place, &gus);
    wait_until_gone(&["qqanswer", "qqtitle", "qqroom"]);
    let named = json!({ "username": "qqother", "first_name": "Qqfirstname" });
    server.ask("PATCH", "/api/users/me/", &gus, &[], Some(&named)).expect(200);
    let new = json!({ "participants": ["ann"] });
    let begun = server.post("/api/conversations/", &gus, &new).expect(201).json();
    let direct = format!("/api/conversations/{}/messages/", begun["conversation_id"].as_str().unwrap());
    server.post(&direct, &gus, &json!({ "content": "qqdirect words" })).expect(201);
    delete("/api/user/delete/", &gus);
    wait_until_gone(&["qqother", "qqfirstname", "qqdirect"]);
    assert_eq!(server.stop(), Some(0));
    assert!(shell.done("db status -o json").stdout.contains("\"pending\": []"));
}
