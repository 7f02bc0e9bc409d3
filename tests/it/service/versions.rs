//! The contents that a message had, each with who wrote it.

use tidings::model::{Actor, MessageSelector};
use tidings::service::messages::{self, MessageEdit, Versions};

use crate::assert_refused;
use crate::support::{World, on_every_engine, operator};

fn first() -> MessageSelector {
    "team#1".parse().unwrap()
}

fn edit(world: &World, editor: &Actor, content: &str, reason: Option<&str>) {
    let edit =
        MessageEdit { content: content.to_owned(), reason: reason.map(ToOwned::to_owned), ..MessageEdit::default() };
    world.app.write(|tx| messages::edit(tx, editor, &first(), &edit)).unwrap();
}

fn read(world: &World, below: i64, size: i64) -> Versions {
    world.app.read(|tx| messages::versions(tx, &operator(), &first(), below, (size, 3))).unwrap()
}

/// Each version in words: its revision, its beginning, who wrote it, and why
fn told(found: &Versions) -> Vec<String> {
    let told = found.versions.iter().map(|version| {
        let by = version.by.as_ref().map_or("nobody", |by| &by.username);
        let by = if version.by_operator { "the operator" } else { by };
        let reason = version.reason.as_deref().unwrap_or("-");
        format!("{} {} {by} {reason} {}", version.revision, version.beginning, version.at.is_some())
    });
    told.collect()
}

/// Three versions, of which the operator wrote the last
fn written(world: &World) {
    let [ann, bob] = [world.user("ann"), world.user("bob")];
    world.group("team", &ann, &[&bob]);
    world.send(&ann, "team", "éins");
    edit(world, &ann, "zwei", Some("typo"));
    edit(world, &operator(), "drei", None);
}

#[test]
fn each_version_has_who_wrote_it_when_and_why() {
    on_every_engine(|world| {
        written(world);
        let all = ["3 dre the operator - true", "2 zwe ann typo true", "1 éin ann - true"];
        let whole = read(world, i64::MAX, 10);
        assert_eq!((told(&whole), whole.is_more), (all.map(ToOwned::to_owned).to_vec(), false));
        let newest = read(world, i64::MAX, 2);
        assert_eq!((told(&newest), newest.is_more), (all[..2].iter().map(|told| (*told).to_owned()).collect(), true));
        let others = read(world, 2, 2);
        assert_eq!((told(&others), others.is_more), (vec![all[2].to_owned()], false));
        assert_eq!(told(&read(world, 3, 1)), [all[1].to_owned()]);
    });
}

#[test]
fn a_version_whose_row_is_gone_is_left_out_and_nobody_is_said_to_have_written_the_next() {
    on_every_engine(|world| {
        written(world);
        world.execute("DELETE FROM revision WHERE revision = 1");
        assert_eq!(told(&read(world, i64::MAX, 10)), ["3 dre the operator - true", "2 zwe nobody - false"]);
    });
}

#[test]
fn the_content_of_each_version_is_there_and_of_no_other() {
    on_every_engine(|world| {
        written(world);
        let message = read(world, i64::MAX, 10).message;
        let at = |revision| world.app.read(|tx| messages::content_at(tx, &message, revision));
        assert_eq!([at(1), at(2), at(3)].map(Result::unwrap), ["éins", "zwei", "drei"]);
        for revision in [0, 4, i64::MAX] {
            assert_refused!(at(revision), NotFound);
        }
    });
}

#[test]
fn who_does_not_see_a_message_does_not_see_its_versions() {
    on_every_engine(|world| {
        written(world);
        let eve = world.user("eve");
        let found = world.app.read(|tx| messages::versions(tx, &eve, &first(), i64::MAX, (10, 3)));
        assert_refused!(found.map(drop), NotFound);
    });
}
