//! The whole in numbers.

use tidings::model::{Actor, Task, Timestamp};
use tidings::service::messages;
use tidings::service::overview::{DAYS, Overview, overview, pending};

use crate::assert_refused;
use crate::support::{NOON, World, draft, on_every_engine, operator};

const DAY: i64 = 24 * 60 * 60;

fn look(world: &World) -> Overview {
    world.app.read(|tx| overview(tx, &operator())).unwrap()
}

#[test]
fn the_overview_counts_what_there_is_and_what_the_last_days_brought_each() {
    on_every_engine(|world| {
        let empty = look(world);
        assert_eq!((empty.users, empty.conversations, empty.messages, empty.unread), (0, 0, 0, 0));
        assert!(empty.days.iter().all(|day| (day.messages, day.accounts) == (0, 0)));
        let [ann, bob, eve] = [world.user("ann"), world.user("bob"), world.user("eve")];
        world.group("team", &ann, &[&bob, &eve]);
        let send = |seconds: i64| {
            world.later(seconds).write(|tx| messages::send(tx, &ann, &draft("team", "hello"))).unwrap();
        };
        // NOON is at nine: the day after begins in 15 hours.
        for hours in [0, 14, 15, 16, 39] {
            send(hours * 60 * 60);
        }
        let now = world.later(2 * DAY);
        now.write(|tx| messages::delete(tx, &ann, &["team#1".parse().unwrap()])).unwrap();
        let seen = now.read(|tx| overview(tx, &operator())).unwrap();
        assert_eq!((seen.users, seen.conversations, seen.messages, seen.unread), (3, 1, 4, 8));
        assert_eq!(seen.counted_at, NOON.plus_seconds(2 * DAY));
        assert_eq!(seen.days.len(), usize::try_from(DAYS).unwrap());
        let last: Vec<_> =
            seen.days[27..].iter().map(|day| (day.begins.to_string(), day.messages, day.accounts)).collect();
        let expected = [("2026-01-01", 1, 3), ("2026-01-02", 2, 0), ("2026-01-03", 1, 0)];
        let expected =
            expected.map(|(day, messages, accounts)| (format!("{day}T00:00:00.000000Z"), messages, accounts));
        assert_eq!(last, expected);
        let later = world.later((DAYS + 1) * DAY).read(|tx| overview(tx, &operator())).unwrap();
        let first = later.days[0];
        assert_eq!(
            (first.begins, first.messages, first.accounts),
            (Timestamp(NOON.0 + (2 * DAY - 9 * 60 * 60) * 1_000_000), 1, 0)
        );
    });
}

#[test]
fn only_the_operator_and_admins_see_the_overview_and_what_is_pending() {
    on_every_engine(|world| {
        let [ann, root] = [world.user("ann"), world.admin("root")];
        world.execute("INSERT INTO maintenance (task, since, position) VALUES (2, 5, 0)");
        let seen = |actor: &Actor| world.app.read(|tx| overview(tx, actor));
        let still = |actor: &Actor| world.app.read(|tx| pending(tx, actor));
        assert_refused!(seen(&ann), Forbidden);
        assert_refused!(still(&ann), Forbidden);
        assert_eq!(seen(&root).unwrap().users, 2);
        let found = still(&root).unwrap();
        let found: Vec<_> = found.iter().map(|one| (one.task, one.since)).collect();
        assert_eq!(found, [(Task::Skeletons, Timestamp(5))]);
    });
}
