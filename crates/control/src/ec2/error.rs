//! What is answered instead: EC2's error codes, their HTTP status, and the error document.

use model::{Fault, VpcId};
use serde::Serialize;
use thiserror::Error;

use super::sigv4::Refusal;
use super::xml::{self, Unfit};
use crate::store::{CommitError, StoreError};

/// Why a request is not carried out ("Error codes for the Amazon EC2 API"). Its text is the message.
#[derive(Debug, Error)]
pub(crate) enum Error {
    /// The region refuses.
    #[error(transparent)]
    Fault(#[from] Fault),
    /// `DryRunOperation`: all is well, but it was not to be done.
    #[error("Request would have succeeded, but DryRun flag is set.")]
    DryRun,
    /// `MissingAction`
    #[error("The request is missing an action or a required parameter.")]
    MissingAction,
    /// `InvalidAction`
    #[error("The action {0} is not valid for this web service.")]
    InvalidAction(String),
    /// `UnsupportedOperation`: an action of EC2 that nothing here carries out.
    #[error("The action {0} is not carried out here.")]
    UnsupportedAction(String),
    /// `UnsupportedOperation`: a parameter of EC2 that nothing here carries out.
    #[error("The parameter {name} with the value '{value}' is not carried out here.")]
    UnsupportedParameter {
        /// As given.
        name: String,
        /// As given.
        value: String,
    },
    /// `UnsupportedOperation`, in words.
    #[error("{0}")]
    Unsupported(&'static str),
    /// `NoSuchVersion`
    #[error("The requested version ({0}) of service AmazonEC2 does not exist")]
    NoSuchVersion(String),
    /// `UnknownParameter`
    #[error("The parameter {0} is not recognized")]
    UnknownParameter(String),
    /// `MissingParameter`
    #[error("The request must contain the parameter {0}")]
    MissingParameter(String),
    /// `InvalidCharacter`
    #[error("The parameter {0} contains a character that is not allowed.")]
    InvalidCharacter(String),
    /// `InvalidParameterValue`
    #[error("Value ({value}) for parameter {name} is invalid. {reason}")]
    InvalidValue {
        /// As given.
        value: String,
        /// The parameter.
        name: String,
        /// What it should be.
        reason: String,
    },
    /// `InvalidParameterValue`: a filter that the action does not have.
    #[error("The filter '{0}' is invalid")]
    UnknownFilter(String),
    /// `FilterLimitExceeded`
    #[error("The maximum number of filter values specified on a single call is {0}")]
    TooManyFilterValues(usize),
    /// `InvalidParameterCombination`
    #[error("{0}")]
    Combination(&'static str),
    /// `InvalidNextToken`
    #[error("The specified NextToken is not valid.")]
    InvalidNextToken,
    /// A text that is not an id of its kind; each kind has its own code.
    #[error("{message}")]
    MalformedId {
        /// EC2's code.
        code: &'static str,
        /// In words.
        message: String,
    },
    /// Something that is no resource of a region does not exist; each kind has its own code.
    #[error("The {kind} '{id}' does not exist")]
    NotFound {
        /// EC2's code.
        code: &'static str,
        /// Of what kind.
        kind: &'static str,
        /// As given.
        id: String,
    },
    /// `VPCIdNotSpecified`: no VPC is named, and there is no default one.
    #[error("No default VPC for this user.")]
    VpcIdNotSpecified,
    /// `MissingInput`: no subnet is named, and the default VPC has no default one.
    #[error("No subnets found for the default VPC '{0}'. Please specify a subnet.")]
    NoDefaultSubnet(VpcId),
    /// `InsufficientAddressCapacity`
    #[error("{0}")]
    InsufficientAddressCapacity(&'static str),
    /// `InvalidKey.Format`
    #[error("Key is not in valid OpenSSH public key format")]
    InvalidKeyFormat,
    /// `IdempotentParameterMismatch`
    #[error("The client token was used before with other parameters.")]
    IdempotentParameterMismatch,
    /// Nobody knows whose request it is; each reason has its own code.
    #[error(transparent)]
    Signature(#[from] Refusal),
    /// `Unavailable`: nothing can be stored at the moment.
    #[error("{0}")]
    Store(StoreError),
    /// `InternalError`: a result that cannot be written or read.
    #[error("{0}")]
    Result(serde_json::Error),
    /// `InternalError`: an answer that cannot be written.
    #[error("{0}")]
    Answer(#[from] Unfit),
    /// `InternalError`: an instance's console cannot be read.
    #[error("{0}")]
    Console(std::io::Error),
    /// `InternalError`: the root file system of an image cannot be kept.
    #[error("The image cannot be kept: {0}")]
    RootFileSystem(String),
    /// `InternalError`: a change made something else than it should.
    #[error("An internal error has occurred.")]
    Unexpected,
}

impl Error {
    /// EC2's error code.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Error::Fault(fault) => fault.code(),
            Error::DryRun => "DryRunOperation",
            Error::MissingAction => "MissingAction",
            Error::InvalidAction(_) => "InvalidAction",
            Error::UnsupportedAction(_) | Error::UnsupportedParameter { .. } | Error::Unsupported(_) => {
                "UnsupportedOperation"
            }
            Error::NoSuchVersion(_) => "NoSuchVersion",
            Error::UnknownParameter(_) => "UnknownParameter",
            Error::MissingParameter(_) => "MissingParameter",
            Error::InvalidCharacter(_) => "InvalidCharacter",
            Error::InvalidValue { .. } | Error::UnknownFilter(_) => "InvalidParameterValue",
            Error::TooManyFilterValues(_) => "FilterLimitExceeded",
            Error::Combination(_) => "InvalidParameterCombination",
            Error::InvalidNextToken => "InvalidNextToken",
            Error::MalformedId { code, .. } | Error::NotFound { code, .. } => code,
            Error::VpcIdNotSpecified => "VPCIdNotSpecified",
            Error::NoDefaultSubnet(_) => "MissingInput",
            Error::InsufficientAddressCapacity(_) => "InsufficientAddressCapacity",
            Error::InvalidKeyFormat => "InvalidKey.Format",
            Error::IdempotentParameterMismatch => "IdempotentParameterMismatch",
            Error::Signature(refusal) => refusal.of_ec2().0,
            Error::Store(_) => "Unavailable",
            Error::Result(_)
            | Error::Answer(_)
            | Error::Console(_)
            | Error::RootFileSystem(_)
            | Error::Unexpected => "InternalError",
        }
    }

    /// The HTTP status.
    pub(crate) fn status(&self) -> u16 {
        match self {
            Error::Signature(refusal) => refusal.of_ec2().1,
            Error::DryRun => 412,
            Error::Result(_)
            | Error::Answer(_)
            | Error::Console(_)
            | Error::RootFileSystem(_)
            | Error::Unexpected => 500,
            Error::Store(_) => 503,
            _ => 400,
        }
    }

    /// The document that EC2 answers. Unlike other answers it has no namespace, and spells the request's id so.
    pub(super) fn document(&self, request: &str) -> Result<String, Unfit> {
        let error = Description { code: self.code(), message: self.to_string() };
        xml::document("Response", "", &Response { errors: Errors { error }, request_id: request })
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Response<'a> {
    errors: Errors,
    #[serde(rename = "RequestID")]
    request_id: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Errors {
    error: Description,
}

/// One error, in the form that EC2 and STS have in common.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Description {
    code: &'static str,
    message: String,
}

impl From<CommitError<Error>> for Error {
    fn from(error: CommitError<Error>) -> Self {
        match error {
            CommitError::Refused(error) => error,
            CommitError::IdempotentParameterMismatch => Error::IdempotentParameterMismatch,
            CommitError::Store(error) => Error::Store(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document() {
        let fault = Fault::VpcNotFound("vpc-00000001".parse().unwrap());
        let expected = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Response><Errors><Error>\
            <Code>InvalidVpcID.NotFound</Code><Message>The vpc ID 'vpc-00000001' does not exist</Message>\
            </Error></Errors><RequestID>r</RequestID></Response>";
        assert_eq!(Error::from(fault).document("r").unwrap(), expected);
    }

    #[test]
    fn status() {
        assert_eq!(Error::DryRun.status(), 412);
        assert_eq!(Error::from(Refusal::UnknownKey).status(), 401);
        assert_eq!(Error::InvalidNextToken.status(), 400);
        assert_eq!(Error::Store(StoreError::Closed).status(), 503);
    }
}
