//! `ringwall apply`: a CloudFormation template, as a stack of a cloud that is up.

use std::fs;
use std::path::Path;

use super::lab::refused;
use crate::flags::ApplyFlags;
use crate::labs::LabDir;
use crate::protocol::{Answer, Conversation, Request, StackRequest, TemplateText};
use crate::{Failure, Outcome, show};

/// What the shell gets when the stack is as it should be and something of it does not run.
const TROUBLE: u8 = 1;

/// Creates, changes or deletes a stack, and shows what was done.
pub(crate) fn apply(flags: &ApplyFlags) -> Outcome {
    let stack = match (&flags.stack, &flags.template) {
        (Some(stack), _) => stack.clone(),
        (None, template) => template.as_deref().map(stack_of).unwrap_or_default(),
    };
    let template = match &flags.template {
        Some(path) if !flags.delete => {
            let text = fs::read_to_string(path).map_err(Failure::file(path))?;
            Some(TemplateText { file: path.display().to_string(), text })
        }
        _ => None,
    };
    let request = StackRequest {
        stack,
        account: flags.account.clone(),
        region: flags.region.clone(),
        template,
        parameters: flags.parameters.iter().cloned().collect(),
    };
    let dir = LabDir::find(flags.lab.as_deref())?;
    let report = match Conversation::open(&dir.socket())?.ask(&Request::Apply(request))? {
        Answer::Applied(report) => report,
        other => return Err(refused(other)),
    };
    if flags.json {
        show::json(&report)?;
    } else {
        show::stack(&report)?;
    }
    Ok(if report.trouble.is_empty() { 0 } else { TROUBLE })
}

/// Reads `NAME=VALUE`.
///
/// # Errors
/// What is wrong with it, for people.
pub(crate) fn parameter(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("NAME=VALUE is expected".to_owned()),
    }
}

/// The template's name up to its first dot: `web.cfn.yaml` is of stack `web`.
fn stack_of(template: &Path) -> String {
    let name = template.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    name.split('.').next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_values() {
        assert_eq!(parameter("A=b=c"), Ok(("A".to_owned(), "b=c".to_owned())));
        assert_eq!(parameter("A="), Ok(("A".to_owned(), String::new())));
        assert!(parameter("A").is_err() && parameter("=a").is_err());
        assert_eq!(stack_of(Path::new("/x/web.cfn.yaml")), "web");
    }
}
