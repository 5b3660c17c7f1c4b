//! Stacks: what templates have become, changed in one transaction with the record of it.

use std::thread;
use std::time::{Duration, Instant};

use ::control::store::{CommitError, StoreError, Transaction};
use lab::deploy::{Done, Stack};
use lab::error::LabError;
use lab::file::{Lab, is_account, is_region};
use lab::template::{Setting, Template};
use model::{AccountId, RegionKey, RegionName};

use super::cloud::Cloud;
use super::{BOOT, GLANCE, InStore, RandomError, random};
use crate::protocol::{StackReport, StackRequest};

/// How long a round of the agent may take.
const ROUND: Duration = Duration::from_secs(30);
/// The longest name of a stack (CloudFormation API Reference, "CreateStack").
const LONGEST_NAME: usize = 128;

/// Why nothing was done to a stack.
#[derive(Debug, thiserror::Error)]
pub(super) enum StackError {
    #[error("`{0}` is no name of a stack: letters, digits and hyphens, a letter first, 128 at most")]
    Name(String),
    #[error("`{0}` is no account: twelve digits")]
    Account(String),
    #[error("`{0}` is no region such as eu-west-1")]
    Region(String),
    #[error("there is no stack `{stack}` in {key}")]
    Unknown {
        /// As asked.
        stack: String,
        /// Where it was looked for.
        key: RegionKey,
    },
    #[error(transparent)]
    Template(#[from] LabError),
    #[error(transparent)]
    Random(#[from] RandomError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("what the stack has become cannot be read or written: {0}")]
    Record(#[from] serde_json::Error),
}

impl From<CommitError<StackError>> for StackError {
    fn from(error: CommitError<StackError>) -> StackError {
        match error {
            CommitError::Refused(refused) => refused,
            CommitError::Store(error) => error.into(),
            // Only a client's token can be used twice, and there is none.
            CommitError::IdempotentParameterMismatch => StoreError::Closed.into(),
        }
    }
}

/// Does what is asked, and waits until what was made runs and what was taken away is gone.
pub(super) fn apply(cloud: &Cloud, request: StackRequest) -> Result<StackReport, StackError> {
    let key = region(&cloud.lab, &request)?;
    let stack = request.stack.clone();
    if !is_stack_name(&stack) {
        return Err(StackError::Name(stack));
    }
    let uuid = uuid()?;
    let (lab, within) = (cloud.lab.clone(), key.clone());
    let (after, done) =
        cloud.store.commit(&key, move |transaction| change(transaction, &lab, within, request, uuid))?;
    cloud.rounds.await_one(ROUND);
    let trouble = after.as_ref().map(|after| settle(cloud, &key, after)).unwrap_or_default();
    let outputs = after.map(|after| after.outputs).unwrap_or_default();
    Ok(StackReport { stack, region: key.to_string(), done, outputs, trouble })
}

/// The stack as it is then, if it is, and what was done.
fn change(
    transaction: &mut Transaction<'_>,
    lab: &Lab,
    key: RegionKey,
    request: StackRequest,
    uuid: String,
) -> Result<(Option<Stack>, Vec<Done>), StackError> {
    let document = format!("stack/{}", request.stack);
    let before: Option<Stack> = transaction.document(&document)?.map(serde_json::from_value).transpose()?;
    let Some(template) = request.template else {
        let Some(before) = before else { return Err(StackError::Unknown { stack: request.stack, key }) };
        let done = before.delete(&request.stack, &mut InStore(transaction))?;
        transaction.keep(&document, None);
        return Ok((None, done));
    };
    let mut setting = Setting::new(key, &request.stack);
    setting.uuid = before.as_ref().map_or(uuid, |before| before.uuid.clone());
    setting.parameters = request.parameters;
    setting.previous = before.as_ref().map(|before| before.parameters.clone()).unwrap_or_default();
    let template = Template::parse(&template.file, &template.text, &setting)?;
    let (after, done) = Stack::apply(before.as_ref(), lab, &template, &setting, &mut InStore(transaction))?;
    if before.as_ref() != Some(&after) {
        transaction.keep(&document, Some(serde_json::to_value(&after)?));
    }
    Ok((Some(after), done))
}

/// Waits until nothing of the stack is on its way; gives what does not run.
fn settle(cloud: &Cloud, key: &RegionKey, stack: &Stack) -> Vec<String> {
    let deadline = Instant::now() + BOOT;
    while stack.is_coming(&cloud.store.region(key)) && !cloud.is_stopping() {
        if Instant::now() > deadline {
            return vec!["not all of it was ready in time".to_owned()];
        }
        thread::sleep(GLANCE);
    }
    stack.trouble(&cloud.store.region(key))
}

fn region(lab: &Lab, request: &StackRequest) -> Result<RegionKey, StackError> {
    let mut key = lab.region.clone();
    if let Some(account) = &request.account {
        if !is_account(account) {
            return Err(StackError::Account(account.clone()));
        }
        key.account = AccountId(account.clone());
    }
    if let Some(region) = &request.region {
        if !is_region(region) {
            return Err(StackError::Region(region.clone()));
        }
        key.region = RegionName(region.clone());
    }
    Ok(key)
}

fn is_stack_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    name.len() <= LONGEST_NAME
        && name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name.bytes().all(allowed)
}

/// A random one (RFC 9562, version 4).
fn uuid() -> Result<String, RandomError> {
    let (high, low) = (random()?, random()?);
    Ok(format!(
        "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
        high >> 32,
        high >> 16 & 0xffff,
        high & 0xfff,
        0x8000 | low >> 48 & 0x3fff,
        low & 0xffff_ffff_ffff
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_cloudformations() {
        assert!(is_stack_name("Web-2") && is_stack_name(&"a".repeat(128)));
        for bad in ["", "2web", "-web", "web.2", "web_2", "wéb", &"a".repeat(129)] {
            assert!(!is_stack_name(bad), "{bad}");
        }
    }
}
