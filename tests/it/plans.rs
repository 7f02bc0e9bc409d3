//! Every statement of the store is looked at before it runs: debug builds refuse one that reads a whole SQLite table, or
//! whose parameters are out of order. Here all of them run, and PostgreSQL says what it would do with many rows.

#![cfg(debug_assertions)]

use std::fs;
use std::path::Path;

use tidings::error::Result;
use tidings::model::{Actor, ConversationSelector, Level, MessageSelector, Seek, UserSelector};
use tidings::service::conversations::ConversationChange;
use tidings::service::events::{Filter, look_through};
use tidings::service::login::{self, Client};
use tidings::service::messages::{Draft, List, Matching, MessageEdit, Search};
use tidings::service::page::Page;
use tidings::service::tokens::{self, Keys, Secret};
use tidings::service::users::UserChange;
use tidings::service::{
    accounts, conversations, messages, notifications, overview, password_links, sessions, suggest, users,
};
use tidings::store::{self, Location, Tx};
use tidings::transfer;
use tidings::transfer::dump::{Request, dump};

use crate::layers::files;
use crate::support::{
    ANALYZE, NOON, Schema, World, account, draft, on_every_engine, operator, place, postgres_server, selector,
};
use crate::transfer::apply::apply_files;
use crate::transfer::load::load;

/// How many statements the files of the store hold: one for each call that runs one
fn statements_in_the_source() -> usize {
    let calls = ["tx.all(", "tx.each(", "tx.one(", "tx.only(", "tx.run(", "fetch(", "broken!("];
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store");
    let texts = files(&folder).into_iter().map(|file| fs::read_to_string(file).unwrap());
    let count = texts.map(|text| calls.iter().map(|call| text.matches(call).count()).sum::<usize>());
    // `fetch` itself: its name where it is defined, and the call within that runs what it is given; the same of a rule.
    count.sum::<usize>() - 3
}

fn search(world: &World, actor: &Actor, request: &Search) {
    let found = world.app.read(|tx| messages::search(tx, actor, request, &|| false)).unwrap();
    assert!(!found.messages.is_empty() && found.partial.is_none(), "{found:?}");
}

/// Brings in records: those that are there, named by ids and by names, and new ones; then looks at what a fixture that
/// names few of them would remove.
fn bring_in(world: &World) {
    let mut dumped = Vec::new();
    world.app.read(|tx| Ok(dump(tx, &operator(), &Request::default(), &mut dumped, &mut |_, _| {}))).unwrap().unwrap();
    let records = r#"{"type":"user","username":"joe","email":"joe@example.org"}
        {"type":"conversation","name":"hall","participants":["ann","joe"]}
        {"type":"conversation","participants":["joe","ann"]}
        {"type":"message","conversation":"team","sender":"ann","content":"new","key":"k1","revisions":[{"content":"old"}]}
        {"type":"message","conversation":"hall","sender":"joe","content":"number","key":"k2","number":9}
        {"type":"notification","user":"bob","message":"k1"}"#;
    dumped.extend(records.as_bytes());
    let created = load(world, std::str::from_utf8(&dumped).unwrap()).unwrap().created;
    assert_eq!(created.total(), 6);
    assert_eq!(load(world, records).unwrap().created.total(), 0);
    let options = transfer::apply::Options { prune: true, ..transfer::apply::Options::default() };
    let fixture = "[{type: user, username: ann}, {type: conversation, name: team, participants: [ann, bob]}]";
    let plan = apply_files(world, &[("few.yaml", fixture)], options, true).unwrap();
    assert!(plan.count(transfer::apply::Action::Removed) > 3, "{plan:?}");
    // One whose username, email and group others get
    let ids = |tx: &mut Tx<'_>| {
        let ann = tidings::service::user(tx, &operator(), &UserSelector::from("ann".to_owned()))?;
        Ok((ann.person.user_id, conversations::show(tx, &operator(), &place("team"))?.conversation_id))
    };
    let (ann, team) = world.app.read(ids).unwrap();
    let fixture = format!(
        "[{{type: user, user_id: {ann}, username: joe, email: joe@example.org}},
          {{type: conversation, conversation_id: {team}, name: hall, participants: [joe, bob]}}]"
    );
    apply_files(world, &[("moved.yaml", &fixture)], options, true).unwrap();
}

/// Logs in, refreshes, loses an answer, uses a token twice, and ends everything.
fn use_tokens(world: &World, user: &Actor) {
    let email = UserChange { email: Some("ann@example.org".to_owned()), ..UserChange::default() };
    let hash = "pbkdf2_sha256$1000$seasalt2$srplYuZudg4ih2PCbBB4Th2AVezFjaqZgStZ2FllhOg=";
    let keys = Keys::new(b"a secret of the tests", None).unwrap();
    let refresh = |tx: &mut Tx<'_>, token: Secret| tokens::refresh(tx, &keys, &token.token(), Client::Socket);
    world
        .app
        .write(|tx| {
            users::update(tx, &operator(), &selector(user), &email)?;
            users::set_password(tx, &operator(), &selector(user), Some(hash))?;
            login::attempt(tx, &keys, "ann@example.org", Client::Socket)?;
            let login = store::tokens::login_by_email(tx, "ann@example.org")?.unwrap();
            tokens::log_in(tx, &login, Some(hash), Secret([1; 32]), None)?;
            tokens::must_be_valid(tx, &Secret([1; 32]).token())?;
            let second = refresh(tx, Secret([1; 32]))?.or_refuse()?.refresh;
            refresh(tx, Secret([1; 32]))?;
            tokens::revoke(tx, &second.token())?;
            tokens::issue(tx, &operator(), &selector(user), Secret([6; 32]))?;
            use_sessions(tx, user)?;
            tokens::revoke_all(tx, &operator(), &selector(user))
        })
        .unwrap();
}

/// Sets a password by a link and does in a session whatever can be done in one.
fn use_sessions(tx: &mut Tx<'_>, user: &Actor) -> Result<()> {
    let hash = "$argon2id$v=19$m=102400,t=2,p=8$SkZINUtIUFd4N2FhZHROOWJxYXI3eA$\
                5jx5Dat1hpY7LlVxOQkPR1cY1qVIRkoq/QOpN69DJW4";
    let (link, keys) = (Secret([8; 32]), Keys::new(b"a secret of the tests", None)?);
    password_links::make(tx, &operator(), &selector(user), link)?;
    password_links::set_password(tx, link, hash)?;
    let mut again = || {
        let attempt = login::attempt(tx, &keys, "ann@example.org", Client::Socket)?;
        Ok::<_, tidings::error::Error>(attempt.verify("correct horse 7", [0; 16])?.unwrap())
    };
    let (first, second) = (again()?, again()?);
    let [one, other] = [7, 9].map(|number| Secret([number; 32]));
    let session = login::begin_session(tx, &first, one, "a browser")?;
    login::begin_session(tx, &second, other, "a browser")?;
    login::confirm(tx, &session, &first)?;
    store::sessions::set_seen(tx, &one.hash())?;
    sessions::list(tx, user, account(user))?;
    sessions::end_others(tx, &one.hash())?;
    sessions::log_out(tx, &one.hash())
}

/// Reads a page of every list from its beginning, behind its first row and before its second.
fn turn_pages(tx: &mut Tx<'_>, actor: &Actor) -> Result<()> {
    fn turn<T, P>(mut read: impl FnMut(Option<&Seek<P>>) -> Result<Page<T, P>>) -> Result<()> {
        let next = read(None)?.next.expect("a list of one");
        let previous = read(Some(&next))?.previous.expect("nothing before the second");
        read(Some(&previous)).map(drop)
    }
    let team = place("team");
    let to = |sender: Option<&str>, receiver: Option<&str>| Matching {
        sender: sender.map(|name| UserSelector::from(name.to_owned())),
        receiver: receiver.map(|name| UserSelector::from(name.to_owned())),
        ..Matching::default()
    };
    turn(|seek| users::page(tx, actor, &users::Matching::default(), seek, 1))?;
    turn(|seek| conversations::participants(tx, actor, &team, seek, 1))?;
    for matching in [to(None, None), to(Some("ann"), None)] {
        turn(|seek| messages::page_of(tx, actor, &team, &matching, seek, (1, false)))?;
    }
    for matching in [to(None, None), to(Some("ann"), None)] {
        turn(|seek| messages::page_everywhere(tx, actor, &matching, seek, 1))?;
    }
    messages::page_everywhere(tx, actor, &to(None, Some("bob")), None, 1)?;
    let root: MessageSelector = "team#1".parse().unwrap();
    turn(|seek| messages::history_page(tx, actor, &root, seek, 1))?;
    messages::versions(tx, actor, &root, i64::MAX, (1, 10))?;
    turn(|seek| messages::thread_page(tx, actor, &root, seek, 1))?;
    if actor.administers() {
        for seek in [Seek::After(String::new()), Seek::After("a".to_owned()), Seek::Before("zoe".to_owned())] {
            let admins = users::Matching { role: Some(tidings::model::Role::Admin), ..users::Matching::default() };
            users::page(tx, actor, &admins, Some(&seek), 1)?;
        }
        for search in [None, Some("a")] {
            turn(|seek| Ok(conversations::page_everywhere(tx, actor, (None, search), seek, 1)?.page))?;
        }
        conversations::page_everywhere(tx, actor, (None, Some("nothing")), None, 1)?;
    }
    if actor.key().is_some() {
        turn(|seek| conversations::page_of(tx, actor, None, seek, 1))?;
        turn(|seek| messages::unread_page(tx, actor, seek, 1))?;
        let owner = notifications::owner(tx, actor, None)?;
        turn(|seek| notifications::page_of(tx, &owner, None, seek, 1))?;
        turn(|seek| notifications::page_of(tx, &owner, Some(false), seek, 1))?;
        notifications::page_of(tx, &owner, Some(true), None, 1)?;
    }
    Ok(())
}

/// Does whatever the services can do.
fn run_every_statement(world: &World) {
    let [ann, bob, eve] = [world.admin("ann"), world.user("bob"), world.user("eve")];
    let app = &world.app;
    world.group("team", &ann, &[&bob, &eve]);
    let root = world.send(&ann, "team", "hello, @bob");
    world.reply(&bob, "team", &root, "hi");
    let once = Draft { idempotency_key: Some("k".to_owned()), ..draft("team", "once") };
    for _ in 0..2 {
        app.write(|tx| messages::send(tx, &ann, &once)).unwrap();
    }
    let direct = Draft { destination: messages::Destination::User(selector(&bob)), ..draft("", "just you") };
    app.write(|tx| messages::send(tx, &eve, &direct)).unwrap();

    let first: MessageSelector = "team#1".parse().unwrap();
    let by_id = MessageSelector::Id(root.message_id);
    let change = MessageEdit { content: "hello, @eve".to_owned(), ..MessageEdit::default() };
    app.write(|tx| messages::edit(tx, &ann, &first, &change)).unwrap();
    app.write(|tx| messages::restore(tx, &ann, &first, 1, None)).unwrap();
    app.read(|tx| messages::history(tx, &bob, &by_id)).unwrap();

    for request in [
        Request::default(),
        Request { since: Some(tidings::model::Timestamp::MIN), ..Request::default() },
        Request { conversations: vec![place("team")], users: vec![selector(&eve)], ..Request::default() },
    ] {
        app.read(|tx| Ok(dump(tx, &operator(), &request, &mut std::io::sink(), &mut |_, _| {}))).unwrap().unwrap();
    }
    bring_in(world);
    let all = List { conversation: None, limit: 10, ..List::default() };
    let team = List { conversation: Some(place("team")), ..all.clone() };
    for request in [
        all.clone(),
        List { sender: Some(selector(&ann)), ..all.clone() },
        List { receiver: Some(selector(&bob)), ..all.clone() },
        List { unread: true, ..all.clone() },
        List { unread: true, ..team.clone() },
        List { before: Some(tidings::model::Number(9)), ..team.clone() },
        List { after: Some(tidings::model::Number(1)), ..team.clone() },
        List { since: Some(NOON), ..team.clone() },
        team,
    ] {
        app.read(|tx| crate::support::list_messages(tx, &bob, &request)).unwrap();
    }
    app.read(|tx| crate::support::list_messages(tx, &operator(), &all)).unwrap();
    search(world, &bob, &Search { query: "hello".to_owned(), limit: 10, ..Search::default() });
    search(world, &bob, &Search { query: "hello".to_owned(), ranked: true, limit: 10, ..Search::default() });
    let in_team =
        Search { query: "hello".to_owned(), conversation: Some(place("team")), limit: 1, ..Search::default() };
    search(world, &bob, &in_team);
    search(world, &bob, &Search { query: "hel*".to_owned(), limit: 10, ..Search::default() });
    app.read(|tx| messages::thread(tx, &bob, &first)).unwrap();
    for number in 0..1001 {
        world.send(&ann, "team", &format!("frequent {number}"));
    }
    for actor in [&bob, &operator()] {
        app.read(|tx| turn_pages(tx, actor)).unwrap();
    }
    app.write(|tx| tidings::service::probe(tx, 0)).unwrap();
    for actor in [bob.clone(), operator()] {
        search(world, &actor, &Search { query: "frequent".to_owned(), limit: 10, ..Search::default() });
        search(world, &actor, &Search { query: "freq*".to_owned(), limit: 10, ..Search::default() });
    }
    world.execute("INSERT INTO maintenance (task, since, position) VALUES (0, 0, 0)");
    app.index().unwrap();

    app.write(|tx| {
        let owner = notifications::owner(tx, &bob, None)?;
        notifications::set_read(tx, &bob, &owner, std::slice::from_ref(&first), true)?;
        notifications::list(tx, &bob, &owner, None, false, 10)?;
        notifications::list(tx, &bob, &owner, None, true, 10)?;
        notifications::count(tx, &owner)?;
        messages::read_conversation(tx, &bob, &owner, &place("team"))?;
        notifications::read_all(tx, &bob, &owner)
    })
    .unwrap();

    app.read(|tx| {
        crate::support::list_conversations(tx, &bob, None, None, Some("t"), 10)?;
        crate::support::list_conversations(tx, &operator(), None, None, None, 10)?;
        conversations::show(tx, &bob, &ConversationSelector::Id(root.conversation))?;
        users::list(tx, &bob, "", &crate::support::searched("a"), 10)?;
        let sender = root.sender.as_ref().map(|sender| UserSelector::Id(sender.user_id));
        users::show(tx, &bob, &sender.unwrap())?;
        for actor in [&bob, &operator()] {
            suggest::groups(tx, actor, "t", 10)?;
            suggest::companions(tx, actor, "e", 10)?;
            suggest::messages(tx, actor, &place("team"), "1", 10)?;
        }
        suggest::users(tx, "b", 10)?;
        crate::assert_refused!(users::show(tx, &bob, &UserSelector::from("bod".to_owned())), NotFound);
        overview::overview(tx, &operator())?;
        store::events::generation(tx)?;
        let mark = store::events::mark(tx)?;
        store::events::traces(tx, &mark, 1)?;
        store::conversations::those_of(tx, bob.key().unwrap(), [root.conversation_key])?;
        let filter = Filter { since: Some(NOON), until: Some(NOON.plus_seconds(1)), ..Filter::default() };
        for size in [1, 10_000] {
            assert!(!look_through(tx, &operator(), &filter, None, size)?.entries.is_empty());
        }
        Ok(())
    })
    .unwrap();
    app.write(|tx| {
        conversations::set_level(tx, &bob, &place("team"), Level::None)?;
        let title = ConversationChange { title: Some("Title".to_owned()), ..ConversationChange::default() };
        conversations::update(tx, &ann, &place("team"), &title)?;
        conversations::remove(tx, &ann, &place("team"), &[selector(&eve)])?;
        let email = UserChange { email: Some("bob@example.org".to_owned()), ..UserChange::default() };
        users::update(tx, &operator(), &selector(&bob), &email)?;
        users::set_password(tx, &operator(), &UserSelector::from("bob@example.org".to_owned()), None)?;
        users::set_active(tx, &ann, &selector(&bob), false)?;
        let id = tidings::service::user(tx, &ann, &selector(&bob))?.person.user_id;
        users::set_all_active(tx, &ann, &[id], true, None)?;
        conversations::page_of_user(tx, &ann, account(&bob), None, 1)?;
        notifications::newest_of(tx, &ann, account(&bob), 1)?;
        users::update(
            tx,
            &operator(),
            &selector(&ann),
            &UserChange { role: Some(tidings::model::Role::User), ..UserChange::default() },
        )?;
        users::update(
            tx,
            &operator(),
            &selector(&ann),
            &UserChange { role: Some(tidings::model::Role::Admin), ..UserChange::default() },
        )
    })
    .unwrap();
    for user in [&ann, &bob] {
        transfer::export::export(app, &operator(), &selector(user), None, std::io::sink()).unwrap();
    }
    use_tokens(world, &ann);
    app.write(|tx| messages::delete(tx, &ann, std::slice::from_ref(&first))).unwrap();
    assert!(app.check(|_| {}).unwrap().is_empty());
    world.group("other", &ann, &[&bob]);
    app.write(|tx| conversations::delete(tx, &ann, &place("other"))).unwrap();
    app.erase(None).unwrap();
    world.execute(match &world.location {
        Location::Sqlite(_) => "INSERT INTO message_search (rowid, words) VALUES (9999, 'lost')",
        Location::Postgres(_) => "INSERT INTO message_search VALUES (9999, 'lost', '_1_lost')",
    });
    world.execute(match &world.location {
        Location::Sqlite(_) => "DELETE FROM message_search WHERE rowid = (SELECT max(key) FROM message)",
        Location::Postgres(_) => "DELETE FROM message_search WHERE message_key = (SELECT max(key) FROM message)",
    });
    world.execute("UPDATE event SET at = 0 WHERE key = (SELECT min(key) FROM event)");
    app.prune_events(store::events::Retention { days: 0, count: 1 }).unwrap();
    app.compact().unwrap();
    let last_admin = app.write(|tx| accounts::delete(tx, &ann, &[selector(&ann)]));
    crate::assert_refused!(last_admin, Forbidden);
    app.read(|tx| accounts::receipt(tx, &operator(), &selector(&ann))).unwrap();
    app.write(|tx| accounts::delete(tx, &operator(), &[selector(&ann)])).unwrap();
}

#[test]
fn no_statement_of_the_store_reads_a_whole_table() {
    on_every_engine(run_every_statement);
    let checked = store::checked_statements();
    let expected = statements_in_the_source();
    assert!(checked.len() >= expected, "{} statements of {expected} ran: {checked:#?}", checked.len());
}

/// Enough rows in every table that reading one whole is never the cheapest way to a few of them
const MANY_ROWS: &str = "
    INSERT INTO account (id, username, username_folded, first_name, last_name, names_folded, role, created_at)
        SELECT gen_random_uuid(), 'u' || i, 'u' || i, '', '', 'u' || i, 0, i FROM generate_series(1, 21000) AS i;
    INSERT INTO conversation (id, kind, names_folded, lower_user_key, higher_user_key, created_at, active_at)
        SELECT gen_random_uuid(), 0, '', i, i + 1, i, i FROM generate_series(1, 20000) AS i;
    INSERT INTO participant (conversation_key, user_key)
        SELECT key, unnest(ARRAY[lower_user_key, higher_user_key]) FROM conversation;
    INSERT INTO message (id, conversation_key, number, sender_key, receiver_key, content, sent_at)
        SELECT gen_random_uuid(), 1 + i % 20000, 1 + i / 20000, 1 + i % 20000, 2 + i % 20000, 'text', i
        FROM generate_series(0, 99999) AS i;
    INSERT INTO notification (message_key, user_key, conversation_key, kind)
        SELECT key, receiver_key, conversation_key, 0 FROM message;
    INSERT INTO revision (message_key, revision, content, edited_at, editor_key, by_operator)
        SELECT key, 1, 'old', 1, sender_key, FALSE FROM message WHERE key % 4 = 0;
    INSERT INTO message_search (message_key, words, conversation_words)
        SELECT key, array_to_tsvector(ARRAY['text', 'w' || key % 1000]),
            array_to_tsvector(ARRAY['_' || conversation_key || '_text', '_' || conversation_key || '_w' || key % 1000])
        FROM message;
    INSERT INTO event (kind, at, actor_key, conversation_key, subject_id)
        SELECT 0, sent_at, sender_key, conversation_key, id FROM message;
    INSERT INTO event_audience (event_key, user_key) SELECT key, actor_key FROM event;
    INSERT INTO idempotency (actor_key, key, request_hash, created_at)
        SELECT key, 'k', ''::bytea, key FROM account;
    INSERT INTO refresh_token (hash, user_key, family, generation, created_at, expires_at)
        SELECT decode(lpad(to_hex(key), 8, '0'), 'hex'), key, gen_random_uuid(), 1, 1, 1 FROM account;
    INSERT INTO session (hash, user_key, generation, created_at, seen_at, confirmed_at, browser)
        SELECT decode(lpad(to_hex(key), 8, '0'), 'hex'), key, 1, key, key, key, '' FROM account;
    INSERT INTO password_link (user_key, hash, generation, expires_at)
        SELECT key, decode(lpad(to_hex(key), 8, '0'), 'hex'), 1, key FROM account;";

const PLANNED_ONCE: &str = "
    SET random_page_cost = 1.1; -- as on any disk without moving parts
    SET plan_cache_mode = force_generic_plan;";

#[test]
fn postgresql_reads_no_whole_table_either() {
    let Some(server) = postgres_server() else { return };
    on_every_engine(run_every_statement);
    let schema = Schema::create(server);
    drop(World::open(Location::parse(&schema.url()).unwrap()));
    let mut client = postgres::Client::connect(&schema.url(), postgres::NoTls).unwrap();
    for sql in [MANY_ROWS, ANALYZE, PLANNED_ONCE] {
        client.batch_execute(sql).unwrap();
    }
    let mut whole = Vec::new();
    for sql in store::prepared_statements().into_iter().filter(|sql| !sql.contains("/* scans:")) {
        let parameters = client.prepare(sql).unwrap().params().len();
        let values = if parameters == 0 { String::new() } else { format!("({})", vec!["NULL"; parameters].join(", ")) };
        client.batch_execute(&format!("PREPARE statement AS {sql}")).unwrap();
        let plan = client.query(&format!("EXPLAIN EXECUTE statement{values}"), &[]).unwrap();
        let steps: Vec<String> = plan.iter().map(|row| row.get(0)).collect();
        if steps.iter().any(|step| step.contains("Seq Scan")) {
            whole.push(format!("{sql}\n{}", steps.join("\n")));
        }
        client.batch_execute("DEALLOCATE statement").unwrap();
    }
    assert!(whole.is_empty(), "{}", whole.join("\n\n"));
}
