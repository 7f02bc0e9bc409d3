//! Pages, as a browser without scripts asks for them.

mod account;
mod conversations;
mod deletion;
mod event_log;
mod headers;
mod lists;
mod log_in;
mod overview;
mod password_link;
mod stream;
mod together;
mod users;

use super::House;
use crate::server::{Reply, Server};

/// Somebody with a browser: it holds a cookie, and says where forms come from.
pub(super) struct Browser<'s> {
    server: &'s Server,
    pub(super) cookie: Option<String>,
}

impl<'s> Browser<'s> {
    pub(super) fn new(server: &'s Server) -> Self {
        Self { server, cookie: None }
    }

    /// A browser in which somebody is logged in
    pub(super) fn of(server: &'s Server, username: &str, password: &str) -> Self {
        let mut browser = Self::new(server);
        let reply = browser.post("/login/", &[("username", username), ("password", password)]);
        assert_eq!((reply.status, reply.header("location")), (303, Some("/")), "{}", text(&reply));
        browser
    }

    pub(super) fn get(&mut self, path: &str) -> Reply {
        self.ask("GET", path, &[("Sec-Fetch-Site", "same-origin")], &[])
    }

    /// Sends a form of this server's pages.
    pub(super) fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Reply {
        self.ask("POST", path, &[("Sec-Fetch-Site", "same-origin")], fields)
    }

    /// Sends a form, and follows where it leads.
    pub(super) fn send(&mut self, path: &str, fields: &[(&str, &str)]) -> Reply {
        let reply = self.post(path, fields).expect(303);
        let next = reply.header("location").unwrap().to_owned();
        self.get(&next).expect(200)
    }

    pub(super) fn ask(&mut self, method: &str, path: &str, headers: &[(&str, &str)], fields: &[(&str, &str)]) -> Reply {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.extend_pairs(fields);
        let body = form.finish();
        let mut headers = headers.to_vec();
        headers.push(("User-Agent", "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"));
        let cookie = self.cookie.clone();
        headers.extend(cookie.as_deref().map(|cookie| ("Cookie", cookie)));
        if method == "POST" {
            headers.push(("Content-Type", "application/x-www-form-urlencoded"));
        }
        let reply = self.server.send(method, path, &headers, body.as_bytes());
        if let Some(cookie) = reply.header("set-cookie") {
            let (pair, rest) = cookie.split_once(';').unwrap();
            self.cookie = (!rest.contains("Max-Age=0")).then(|| pair.to_owned());
        }
        reply
    }
}

/// The text of a page
pub(super) fn text(reply: &Reply) -> String {
    String::from_utf8(reply.bytes.clone()).unwrap()
}

/// What a reader sees of a command: without the marks between its words
fn plain(code: &str) -> String {
    let code = code.replace("<span>", "").replace("</span>", "");
    let signs = [("&#60;", "<"), ("&#62;", ">"), ("&#34;", "\""), ("&#39;", "'"), ("&#38;", "&")];
    signs.iter().fold(code, |code, (escaped, sign)| code.replace(escaped, sign))
}

/// The link that sets a password, as a page shows it
fn link_of(page: &str) -> &str {
    page.split("<textarea class=\"link\"").nth(1).and_then(|rest| rest.split(['>', '<']).nth(1)).unwrap()
}

/// The value of a hidden field of a form
fn hidden(page: &str, name: &str, number: usize) -> String {
    let begin = format!("name=\"{name}\" value=\"");
    let rest = page.split(begin.as_str()).nth(number + 1).unwrap_or_else(|| panic!("no {name} in {page}"));
    rest.split('"').next().unwrap().to_owned()
}

/// What a browser sends of the form with that action, as the page came: the value of each field, as it is escaped
fn form_at(page: &str, action: &str) -> Vec<(String, String)> {
    let begin = format!("method=\"post\" action=\"{action}\"");
    let form = page.split(begin.as_str()).nth(1).unwrap_or_else(|| panic!("no form {action} in {page}"));
    let form = form.split("</form>").next().unwrap();
    let attribute = |tag: &str, name: &str| {
        let value = tag.split(&format!(" {name}=\"")).nth(1)?;
        value.split('"').next().map(ToOwned::to_owned)
    };
    let field = |tag: &str| {
        let value = match attribute(&format!(" {}", tag.split('>').next().unwrap()), "value") {
            None if tag.contains(" selected>") => {
                attribute(tag.split(" selected>").next()?.rsplit('<').next()?, "value")?
            }
            value => value.unwrap_or_default(),
        };
        Some((attribute(&format!(" {tag}"), "name")?, value))
    };
    form.split("<input ").skip(1).flat_map(|rest| rest.split("<select ")).filter_map(field).collect()
}

/// Fills in fields of a form.
fn filled<'f>(form: &'f [(String, String)], typed: &[(&'f str, &'f str)]) -> Vec<(&'f str, &'f str)> {
    let value = |name: &str| typed.iter().find(|(field, _)| *field == name).map(|(_, value)| *value);
    form.iter().map(|(name, as_it_came)| (name.as_str(), value(name).unwrap_or(as_it_came))).collect()
}

/// Lets the clock of a session go on: what was written is of so many seconds ago.
fn age(house: &House, seconds: i64) {
    execute(
        house,
        &format!(
            "UPDATE session SET created_at = created_at - {seconds}000000, seen_at = seen_at - {seconds}000000,
                 confirmed_at = confirmed_at - {seconds}000000"
        ),
    );
}

/// Changes the database behind the program's back.
fn execute(house: &House, sql: &str) {
    match &house.schema {
        None => {
            let file = rusqlite::Connection::open(house.shell.path(&house.address)).unwrap();
            file.busy_timeout(std::time::Duration::from_secs(10)).unwrap();
            file.execute_batch(sql).unwrap();
        }
        Some(schema) => {
            let mut client = postgres::Client::connect(&schema.url(), postgres::NoTls).unwrap();
            client.batch_execute(sql).unwrap();
        }
    }
}
