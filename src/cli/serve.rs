//! `tidings serve`

use clap::Args;

use super::output::Output;
use super::settings::Settings;
use super::{Context, Failure, Global, Outcome};
use crate::app::secret;
use crate::http::{self, Listener, Log, Server};
use crate::model::Actor;
use crate::model::UserSelector;
use crate::service::tokens::{self, Keys, Secret};

/// Serve the REST API
#[derive(Debug, Args)]
pub(super) struct Serve {
    /// Where to listen: HOST:PORT, port 0 for any, or the path of a socket
    #[arg(long, default_value = "127.0.0.1:8000")]
    bind: String,
    #[arg(long)]
    token_for: Vec<UserSelector>,
}

impl Serve {
    pub(super) fn run(self, global: &Global, settings: &Settings, out: &mut Output) -> Outcome {
        let listener = Listener::bind(&self.bind, false)?;
        let keys = Keys::new(&secret::<32>()?, None)?;
        let Context { app, location, .. } = Context::open(global, settings, out, false)?;
        for user in &self.token_for {
            let actor = Actor::Operator("x".into());
            let refresh = Secret(secret()?);
            let issued = app.write(|tx| tokens::issue(tx, &actor, user, refresh))?;
            let access =
                keys.sign(issued.user.person.user_id, issued.generation, app.now(), uuid::Uuid::from_u128(1))?;
            out.status(&access);
        }
        let app = app.share(location)?;
        let options = http::Options { hosts: Vec::new(), registration: true, behind_proxy: false, connections: 10_000 };
        let server = Server::new(app, keys, options, Log::new(std::io::stderr())?);
        let url = listener.url();
        http::serve(
            &server,
            listener,
            || {
                out.status(&format!("Listening at {url}"));
                Ok(())
            },
            std::future::pending(),
        )?;
        Ok::<(), Failure>(())
    }
}
