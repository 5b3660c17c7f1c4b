//! The EC2 Query API over the store: a request's form in, XML out.
//!
//! [`Api::handle`] knows no sockets; [`serve`] puts it on one.

mod action;
mod caller;
mod console;
mod credentials;
mod delivery;
mod error;
mod filter;
mod http;
mod page;
mod pool;
mod pool6;
mod query;
pub mod reference;
mod root_file_system;
mod server;
mod sigv4;
mod time;
mod xml;

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ipnet::{Ipv4Net, Ipv6Net};
use model::{Applied, Change, ImageId, Region, RegionKey};
use serde::Serialize;
use serde::de::DeserializeOwned;

pub use console::{Console, Consoles};
pub use credentials::{Credentials, CredentialsError, Problem};
pub use delivery::Deliveries;
pub(crate) use error::Error;
pub use http::{HttpRequest, HttpResponse};
pub use root_file_system::{NoRootFileSystem, RootFileSystem, RootFileSystems};
pub use server::{ServeError, Server, serve};
pub(crate) use sigv4::Refusal;
pub(crate) use xml::{Unfit, document};

use crate::store::{ClientToken, Store, Transaction};
use crate::sts;
use pool::Pool;
use pool6::Pool6;
use query::Parameters;

/// The version of the EC2 API that is spoken here.
const VERSION: &str = "2016-11-15";

/// What an [`Api`] has besides the store.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where public addresses come from; none can be had without. Its first and last address are not used.
    pub pool: Option<Ipv4Net>,
    /// Where the IPv6 CIDR blocks of VPCs come from, each a /56; none can be had without.
    pub pool6: Option<Ipv6Net>,
    /// What instances can run beside the images that are registered.
    pub images: Vec<Image>,
    /// Whose account and region requests are for that do not say: all without credentials.
    pub home: RegionKey,
    /// By whom requests must be signed; without them, they need not be.
    pub credentials: Option<Credentials>,
    /// Who knows what instances have written on their consoles; without, none has written anything.
    pub consoles: Option<Arc<dyn Consoles>>,
    /// Who knows whether flow logs are written; without, all are.
    pub deliveries: Option<Arc<dyn Deliveries>>,
    /// Who keeps the root file systems of images that are registered; without, none can be.
    pub root_file_systems: Option<Arc<dyn RootFileSystems>>,
}

/// A machine image that is declared with the cloud.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// Its id.
    pub id: ImageId,
    /// Its name, such as "host".
    pub name: String,
    /// In words.
    pub description: String,
    /// As EC2 calls it: "x86_64" or "arm64".
    pub architecture: String,
    /// Since when it exists, in seconds since 1970.
    pub created: u64,
}

/// The EC2 Query API, and of STS what tools ask before they begin.
#[derive(Debug)]
pub struct Api {
    store: Arc<Store>,
    settings: Settings,
    random: RandomState,
    requests: AtomicU64,
}

impl Api {
    /// An API over `store`.
    pub fn new(store: Arc<Store>, settings: Settings) -> Api {
        Api { store, settings, random: RandomState::new(), requests: AtomicU64::new(0) }
    }

    /// Answers a request. A change is on disk before this returns, and that can take as long as a disk flush.
    pub fn handle(&self, request: &HttpRequest) -> HttpResponse {
        if request.path != "/" {
            return HttpResponse::empty(404);
        }
        if !matches!(request.method.as_str(), "GET" | "POST") {
            return HttpResponse::empty(405);
        }
        let id = self.request_id();
        let answered = self.answer(request, &id).or_else(|error| {
            tracing::debug!(code = error.code(), %error, "refused");
            Ok::<_, Unfit>(HttpResponse::xml(error.status(), error.document(&id)?))
        });
        answered.unwrap_or_else(|unfit| {
            tracing::error!(%unfit, "no error document");
            HttpResponse::empty(500)
        })
    }

    fn answer(&self, request: &HttpRequest, id: &str) -> Result<HttpResponse, Error> {
        let mut parameters = Parameters::parse(request.query.as_bytes(), &request.body)?;
        let version = parameters.take("Version");
        let service = if version.as_deref() == Some(sts::VERSION) { "sts" } else { "ec2" };
        let credentials = self.settings.credentials.as_ref();
        let key = match caller::identify(request, credentials, &self.settings.home, service, time::now()) {
            Err(refusal) if service == "sts" => return Ok(sts::refused(&refusal, id)?),
            identified => identified?,
        };
        let action = parameters.take("Action").ok_or(Error::MissingAction)?;
        tracing::debug!(%action, region = %key.region.0, "asked");
        match version.as_deref() {
            Some(sts::VERSION) => return Ok(sts::handle(&action, &key.account, id)?),
            Some(VERSION) | None => {}
            Some(other) => return Err(Error::NoSuchVersion(other.to_owned())),
        }
        let dry_run = action::is_dry_run(&mut parameters)?;
        let call = Call { api: self, key, dry_run, host: request.header("host").unwrap_or_default(), id };
        action::run(&action, &call, parameters).map(|document| HttpResponse::xml(200, document))
    }

    /// In the form of a UUID (RFC 9562, version 4). Ids of requests need to differ, not to be unguessable.
    fn request_id(&self) -> String {
        let count = self.requests.fetch_add(1, Ordering::Relaxed);
        let (high, low) = (self.random.hash_one((count, 0)), self.random.hash_one((count, 1)));
        format!(
            "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
            high >> 32,
            high >> 16 & 0xffff,
            high & 0xfff,
            0x8000 | low >> 48 & 0x3fff,
            low & 0xffff_ffff_ffff
        )
    }
}

/// Every action that is carried out, by name.
pub fn actions() -> Vec<reference::Action> {
    action::reference()
}

/// One request that is being carried out.
struct Call<'a> {
    api: &'a Api,
    /// Of which region.
    key: RegionKey,
    /// Whether it is only to be said what would come of it.
    dry_run: bool,
    /// What the client calls this endpoint.
    host: &'a str,
    /// The request's id.
    id: &'a str,
}

impl Call<'_> {
    fn settings(&self) -> &Settings {
        &self.api.settings
    }

    fn pool(&self) -> Pool {
        Pool(self.api.settings.pool)
    }

    fn pool6(&self) -> Pool6 {
        Pool6(self.api.settings.pool6)
    }

    /// The region as it is now.
    fn region(&self) -> Arc<Region> {
        self.api.store.region(&self.key)
    }

    /// Makes changes, all or none. They are on disk when this returns. A dry run makes none: it ends in
    /// [`Error::DryRun`] if they could be made.
    fn commit<R: Send + 'static>(
        &self,
        change: impl FnOnce(&mut Transaction<'_>) -> Result<R, Error> + Send + 'static,
    ) -> Result<R, Error> {
        Ok(self.api.store.commit(&self.key, self.unless_dry(change))?)
    }

    /// Makes one change.
    fn apply(&self, change: Change) -> Result<Applied, Error> {
        self.commit(move |transaction| Ok(transaction.apply(change)?))
    }

    /// Makes changes, but only once for a client's token: asked again it gives the same result.
    fn commit_once<R: Serialize + DeserializeOwned + Send + 'static>(
        &self,
        token: Option<ClientToken>,
        change: impl FnOnce(&mut Transaction<'_>) -> Result<R, Error> + Send + 'static,
    ) -> Result<R, Error> {
        let Some(token) = token else { return self.commit(change) };
        let change = self.unless_dry(change);
        let result = self.api.store.commit_once(&self.key, token, move |transaction| {
            serde_json::to_value(change(transaction)?).map_err(Error::Result)
        })?;
        serde_json::from_value(result).map_err(Error::Result)
    }

    fn unless_dry<R>(
        &self,
        change: impl FnOnce(&mut Transaction<'_>) -> Result<R, Error> + Send + 'static,
    ) -> impl FnOnce(&mut Transaction<'_>) -> Result<R, Error> + Send + 'static {
        let dry_run = self.dry_run;
        move |transaction| {
            let result = change(transaction)?;
            if dry_run { Err(Error::DryRun) } else { Ok(result) }
        }
    }
}
