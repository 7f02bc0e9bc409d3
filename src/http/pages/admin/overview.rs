//! The overview: how much there is, what is still to be done, and what each of the last days brought.

use askama::Template;
use axum::extract::State;

use super::{Admin, overview};
use crate::http::pages::answer::Page;
use crate::http::pages::assets;
use crate::http::pages::session::{frame, read};
use crate::http::pages::view::{self, Frame, Place, grouped};
use crate::http::server::Shared;
use crate::http::server::overview::Counted;
use crate::model::{Pending, Task, Timestamp};
use crate::service::overview::{Day, pending};

/// How many units a day is wide in a chart, and how many of them its bar is
const STEP: usize = 10;
const BAR: usize = 8;

/// How many units a chart is high
const HEIGHT: f64 = 100.0;

/// `/admin/`
#[derive(Template)]
#[template(path = "admin/overview.html", whitespace = "minimize")]
struct Overview {
    frame: Frame,
    pending: Vec<Pending>,
    /// Nothing where it was never counted yet
    numbers: Option<Numbers>,
    /// Whether it is being counted
    is_counting: bool,
}

/// What was counted, as it is shown
struct Numbers {
    counted_at: Timestamp,
    all: Vec<(&'static str, String)>,
    charts: [Chart; 2],
    /// The days of the table, today first
    days: Vec<(String, String, String)>,
}

impl Numbers {
    fn new(Counted { overview, sizes }: &Counted) -> Self {
        let mut all = vec![
            ("Users", grouped(overview.users)),
            ("Conversations", grouped(overview.conversations)),
            ("Messages", grouped(overview.messages)),
            ("Unread notifications", grouped(overview.unread)),
            ("Database", bytes(sizes.bytes)),
        ];
        all.extend(sizes.wal_bytes.map(|wal| ("Write-ahead log", bytes(wal))));
        let row = |day: &Day| {
            (day.begins.date_time().format("%-d %b %Y").to_string(), grouped(day.messages), grouped(day.accounts))
        };
        Self {
            counted_at: overview.counted_at,
            all,
            charts: [
                Chart::new("Messages per day", &overview.days, |day| day.messages),
                Chart::new("New users per day", &overview.days, |day| day.accounts),
            ],
            days: overview.days.iter().rev().map(row).collect(),
        }
    }
}

/// Bars, one for each day
struct Chart {
    title: &'static str,
    /// All days together
    total: String,
    /// The highest bar
    most: String,
    width: usize,
    bars: Vec<Bar>,
    /// The first day and the last
    ends: [String; 2],
}

struct Bar {
    left: usize,
    top: String,
    height: String,
    /// What it stands for
    label: String,
}

impl Chart {
    fn new(title: &'static str, days: &[Day], count: fn(&Day) -> i64) -> Self {
        let most = days.iter().map(count).max().unwrap_or(0);
        let bar = |(number, day): (usize, &Day)| {
            let count = count(day);
            // A day with anything has a bar that is seen.
            let height = if count == 0 { 0.0 } else { (ratio(count, most) * HEIGHT).max(1.0) };
            let label = format!("{}: {}", date(day.begins), grouped(count));
            let left = number * STEP + (STEP - BAR) / 2;
            Bar { left, top: format!("{:.1}", HEIGHT - height), height: format!("{height:.1}"), label }
        };
        let end = |day: Option<&Day>| day.map(|day| date(day.begins)).unwrap_or_default();
        Self {
            title,
            total: grouped(days.iter().map(count).sum::<i64>()),
            most: grouped(most),
            width: days.len() * STEP,
            bars: days.iter().enumerate().map(bar).collect(),
            ends: [end(days.first()), end(days.last())],
        }
    }
}

/// A part of a whole
#[expect(clippy::cast_precision_loss, reason = "a bar is not that exact")]
fn ratio(part: i64, whole: i64) -> f64 {
    part as f64 / whole.max(1) as f64
}

/// A day in UTC: `2 Jan`
fn date(day: Timestamp) -> String {
    day.date_time().format("%-d %b").to_string()
}

/// A number of bytes, for people
#[expect(clippy::cast_precision_loss, reason = "one decimal is shown")]
pub(super) fn bytes(count: i64) -> String {
    let sizes = [(1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")];
    match sizes.iter().find(|(size, _)| count as f64 >= *size) {
        Some((size, unit)) => format!("{:.1} {unit}", count as f64 / size),
        None => format!("{count} B"),
    }
}

/// Pending work, in words
pub(super) fn doing(task: Task) -> &'static str {
    match task {
        Task::Index => "Indexing messages for search",
        Task::Erase => "Erasing deleted data from the file",
        Task::Skeletons => "Finding out which usernames look alike",
    }
}

/// Shows the overview.
pub(super) async fn show(State(server): State<Shared>, Admin(session): Admin) -> Page {
    let (counted, is_counting) = server.overview.get(&server).await?;
    // This asks once more who may see it: they may have waited.
    let pending = read(&server, &session, |tx, session| pending(tx, &session.actor())).await?;
    Ok(view::page(&Overview {
        frame: Frame { place: Some(Place::Overview), ..frame(&session, None) },
        pending,
        numbers: counted.as_deref().map(Numbers::new),
        is_counting,
    })?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_as_high_as_their_share_of_the_highest_and_none_is_too_low_to_be_seen() {
        let day = |number: i64, messages| Day { begins: Timestamp(number * 86_400_000_000), messages, accounts: 0 };
        let days = [day(0, 0), day(1, 1), day(2, 1000), day(3, 250)];
        let chart = Chart::new("Messages", &days, |day| day.messages);
        let bars: Vec<_> = chart
            .bars
            .iter()
            .map(|bar| (bar.left, bar.top.as_str(), bar.height.as_str(), bar.label.as_str()))
            .collect();
        let expected = [
            (1, "100.0", "0.0", "1 Jan: 0"),
            (11, "99.0", "1.0", "2 Jan: 1"),
            (21, "0.0", "100.0", "3 Jan: 1,000"),
            (31, "75.0", "25.0", "4 Jan: 250"),
        ];
        assert_eq!(bars, expected);
        assert_eq!((chart.total.as_str(), chart.most.as_str(), chart.width), ("1,251", "1,000", 40));
        assert_eq!(chart.ends, ["1 Jan", "4 Jan"]);
        assert!(Chart::new("Users", &days, |day| day.accounts).bars.iter().all(|bar| bar.height == "0.0"));
    }

    #[test]
    fn sizes_are_in_the_unit_that_fits() {
        for (count, text) in
            [(0, "0 B"), (999, "999 B"), (4096, "4.1 kB"), (12_345_678, "12.3 MB"), (2_000_000_000, "2.0 GB")]
        {
            assert_eq!(bytes(count), text);
        }
    }
}
