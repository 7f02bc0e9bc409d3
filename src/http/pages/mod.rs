//! Pages for people in a browser: templates in `templates/`, what they load in `assets/`. They work without scripts.
//!
//! What a form asks goes through the same functions of the service as everywhere. Who is logged in is a session, which a
//! cookie names; the API ignores cookies.

mod account;
mod address;
mod admin;
mod answer;
mod assets;
mod deletion;
mod entrance;
mod events;
mod form;
mod login;
mod password;
mod session;
mod view;

use axum::Router;
use axum::http::{Method, Uri};
use axum::middleware::from_fn_with_state;
use axum::response::Redirect;
use axum::routing::{MethodRouter, get, post};
use tower_http::csrf::CsrfLayer;

pub(super) use self::answer::not_found;
use self::answer::{foreign, method_not_allowed, surround};
use self::session::Visitor;
use super::server::Shared;
use super::server::answers::answering;
use crate::model::Role;

/// What answers each path of the pages.
pub(super) fn router(server: &Shared) -> Router {
    let mut router = Router::new().route(assets::PATH, answering(assets::PATH, get(assets::serve)));
    for (method, path, handler) in routes() {
        let entered = handler.route_layer(from_fn_with_state(Shared::clone(server), entrance::enter));
        router = router.route(path, answering(path, entered));
        let bare = path.trim_end_matches('/');
        if !bare.is_empty() && method == "GET" {
            router = router.route(bare, answering(path, get(with_slash)));
        }
    }
    router
        .method_not_allowed_fallback(async |method: Method| method_not_allowed(&method))
        .layer(CsrfLayer::new().with_rejection_response(foreign))
        .layer(from_fn_with_state(Shared::clone(server), surround))
        .with_state(Shared::clone(server))
}

/// The method and the path of each page and of each form
pub fn pages() -> impl Iterator<Item = (&'static str, &'static str)> {
    routes().into_iter().map(|(method, path, _)| (method, path))
}

fn routes() -> Vec<(&'static str, &'static str, MethodRouter<Shared>)> {
    let mut routes = vec![
        ("GET", "/", get(start)),
        ("GET", "/login/", get(login::show)),
        ("POST", "/login/", post(login::log_in)),
        ("GET", "/logout/", get(start)),
        ("POST", "/logout/", post(login::log_out)),
        ("GET", "/account/", get(account::show)),
        ("POST", "/account/", post(account::change)),
        // Whoever comes to a form's address by itself gets the page with the form.
        ("GET", "/account/password/", get(account::back)),
        ("POST", "/account/password/", post(account::change_password)),
        ("GET", "/account/levels/", get(account::back)),
        ("POST", "/account/levels/", post(account::set_levels)),
        ("GET", "/account/sessions/", get(account::back)),
        ("POST", "/account/sessions/", post(account::end_sessions)),
        ("GET", "/account/export/", get(account::export)),
        ("GET", "/account/delete/", get(deletion::show)),
        ("POST", "/account/delete/", post(deletion::delete)),
        ("GET", "/password/{token}/", get(password::show)),
        ("POST", "/password/{token}/", post(password::set)),
        ("GET", events::PATH, get(events::stream)),
    ];
    routes.extend(admin::routes());
    routes
}

/// The beginning: the administration for admins, and one's account for everybody else.
async fn start(visitor: Visitor) -> Redirect {
    match visitor.session {
        None => Redirect::to("/login/"),
        Some(session) if session.user.role == Role::Admin => Redirect::to(admin::PATH),
        Some(_) => Redirect::to(account::PATH),
    }
}

/// The page whose address ends in a slash
async fn with_slash(uri: Uri) -> Redirect {
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    Redirect::permanent(&format!("{}/{query}", uri.path()))
}
