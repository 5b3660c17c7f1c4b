//! An endpoint over a store of its own, and its answers.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use control::ec2::{
    Api, Console, Consoles, Credentials, Deliveries, HttpRequest, Image, NoRootFileSystem, RootFileSystem,
    RootFileSystems, Settings,
};
use control::store::{Options, Store};
use model::{AccountId, FlowLogId, ImageId, InstanceId, Region, RegionKey, RegionName};

/// An endpoint with the image ami-00000000000000001, the public addresses 203.0.113.1 to 203.0.113.6, and four IPv6
/// CIDR blocks.
pub(crate) struct Endpoint {
    pub(crate) store: Arc<Store>,
    api: Api,
    _directory: tempfile::TempDir,
}

/// Instances whose consoles say who they are, but for every second one, which never ran.
struct Machines;

impl Consoles for Machines {
    fn console(&self, instance: InstanceId, most: u64) -> io::Result<Option<Console>> {
        let text = instance.to_string();
        let output = text.repeat(10_000).into_bytes();
        let end = output.len() - usize::try_from(most).unwrap();
        let written = UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        let last = Console { output: output[end..].to_vec(), written };
        Ok(text.ends_with(['0', '2', '4', '6', '8', 'a', 'c', 'e']).then_some(last))
    }
}

/// A disk without room for flow logs that have tags.
struct Disk(Arc<Store>);

impl Deliveries for Disk {
    fn trouble(&self, log: FlowLogId) -> Option<String> {
        let mut regions = self.0.regions().into_iter().map(|key| self.0.region(&key));
        let tagged =
            |region: Arc<Region>| region.flow_logs().get(&log).is_some_and(|log| !log.wanted.tags.is_empty());
        regions.any(tagged).then(|| "the disk is full".to_owned())
    }
}

/// What is below /srv is a root file system.
impl RootFileSystems for Machines {
    fn unpack(&self, location: &Path) -> Result<Box<dyn RootFileSystem>, NoRootFileSystem> {
        if location.starts_with("/full") {
            return Err(NoRootFileSystem::NotKept("the disk is full".to_owned()));
        }
        let fits = location.starts_with("/srv").then(|| Box::new(Machines) as Box<dyn RootFileSystem>);
        fits.ok_or_else(|| NoRootFileSystem::Unfit("It is no root file system.".to_owned()))
    }
}

impl RootFileSystem for Machines {
    fn keep_as(&self, _: ImageId) -> io::Result<()> {
        Ok(())
    }
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    text: String,
}

impl Endpoint {
    pub(crate) fn new() -> Endpoint {
        Endpoint::with(None)
    }

    /// One that answers only who signs with one of these.
    pub(crate) fn with(credentials: Option<Credentials>) -> Endpoint {
        // In memory where that can be had: what a disk makes of it is tested with the store.
        let directory = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        let store = Arc::new(Store::open(directory.path(), Options::default()).unwrap());
        let image = Image {
            id: "ami-00000000000000001".parse().unwrap(),
            name: "host".to_owned(),
            description: "The host's root file system".to_owned(),
            architecture: "x86_64".to_owned(),
            created: 0,
        };
        let settings = Settings {
            pool: Some("203.0.113.0/29".parse().unwrap()),
            pool6: Some("2001:db8::/54".parse().unwrap()),
            images: vec![image],
            home: RegionKey {
                account: AccountId("000000000000".into()),
                region: RegionName("eu-west-1".into()),
            },
            credentials,
            consoles: Some(Arc::new(Machines)),
            deliveries: Some(Arc::new(Disk(Arc::clone(&store)))),
            root_file_systems: Some(Arc::new(Machines)),
        };
        Endpoint { api: Api::new(Arc::clone(&store), settings), store, _directory: directory }
    }

    /// Posts a form. Its values are taken as they are, only that slashes need no escape.
    pub(crate) fn ask(&self, action: &str, form: &str, headers: &[(&str, &str)]) -> Answer {
        let body = format!("Action={action}&Version=2016-11-15&{form}").into_bytes();
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        self.send(HttpRequest {
            method: "POST".into(),
            path: "/".into(),
            query: String::new(),
            headers,
            body,
        })
    }

    pub(crate) fn get(&self, query: &str) -> Answer {
        let headers = vec![("Host".to_owned(), "cloud.example:4566".to_owned())];
        let (method, path, query) = ("GET".into(), "/".into(), query.into());
        self.send(HttpRequest { method, path, query, headers, body: Vec::new() })
    }

    /// Posts what must succeed.
    pub(crate) fn fine(&self, action: &str, form: &str) -> Answer {
        let answer = self.ask(action, form, &[]);
        assert_eq!(answer.status, 200, "{action} {form}: {}", answer.text);
        answer
    }

    /// Posts what must fail, and gives status and code.
    pub(crate) fn refused(&self, action: &str, form: &str) -> (u16, String) {
        let answer = self.ask(action, form, &[]);
        assert_ne!(answer.status, 200, "{action} {form}: {}", answer.text);
        (answer.status, answer.one("Code"))
    }

    /// The state of the region that unsigned requests are for.
    pub(crate) fn region(&self) -> Arc<Region> {
        let (account, region) = (AccountId("000000000000".into()), RegionName("eu-west-1".into()));
        self.store.region(&RegionKey { account, region })
    }

    pub(crate) fn send(&self, request: HttpRequest) -> Answer {
        let response = self.api.handle(&request);
        Answer { status: response.status, text: String::from_utf8(response.body).unwrap() }
    }
}

impl Answer {
    /// What is in the first element of a name.
    pub(crate) fn one(&self, name: &str) -> String {
        let all = self.all(name);
        all.into_iter().next().unwrap_or_else(|| panic!("no {name} in {}", self.text))
    }

    /// What is in all elements of a name that have no like in them.
    pub(crate) fn all(&self, name: &str) -> Vec<String> {
        let (open, close) = (format!("<{name}>"), format!("</{name}>"));
        let parts = self.text.split(&open).skip(1);
        parts.map(|part| part.split(&close).next().unwrap_or_default().to_owned()).collect()
    }

    /// All ids in it.
    pub(crate) fn ids(&self) -> Vec<String> {
        let words = self.text.split(['<', '>', ' ', '/']);
        let is_id = |word: &&str| {
            word.rsplit_once('-').is_some_and(|(prefix, digits)| {
                !prefix.is_empty()
                    && digits.len() == 17
                    && digits.bytes().all(|digit| digit.is_ascii_hexdigit())
            })
        };
        words.filter(is_id).map(str::to_owned).collect()
    }
}
