//! The kinds of errors: what they are called, their statuses and exit codes, as users rely on them.

use std::collections::BTreeSet;

use tidings::error::{Error, Kind};

/// A kind, its code, its status, and its exit code where a command can fail so
type Row = (Kind, &'static str, u16, Option<u8>);

const TABLE: [Row; 17] = [
    (Kind::Invalid, "invalid", 400, Some(6)),
    (Kind::Unauthenticated, "unauthenticated", 401, Some(4)),
    (Kind::Forbidden, "forbidden", 403, Some(4)),
    (Kind::NotFound, "not_found", 404, Some(3)),
    (Kind::MethodNotAllowed, "method_not_allowed", 405, None),
    (Kind::UnsupportedMediaType, "unsupported_media_type", 415, None),
    (Kind::Misdirected, "misdirected", 421, None),
    (Kind::HeadersTooLarge, "headers_too_large", 431, None),
    (Kind::Timeout, "timeout", 408, Some(8)),
    (Kind::Conflict, "conflict", 409, Some(5)),
    (Kind::Stale, "stale", 412, Some(5)),
    (Kind::TooLarge, "too_large", 413, Some(6)),
    (Kind::RateLimited, "rate_limited", 429, Some(7)),
    (Kind::Internal, "internal", 500, Some(1)),
    (Kind::Unavailable, "unavailable", 503, Some(7)),
    (Kind::NoSpace, "no_space", 507, Some(7)),
    (Kind::NotImplemented, "not_implemented", 501, None),
];

/// The place of a kind in the table; one that is added does not compile until it has a row.
const fn place(kind: Kind) -> usize {
    match kind {
        Kind::Invalid => 0,
        Kind::Unauthenticated => 1,
        Kind::Forbidden => 2,
        Kind::NotFound => 3,
        Kind::MethodNotAllowed => 4,
        Kind::UnsupportedMediaType => 5,
        Kind::Misdirected => 6,
        Kind::HeadersTooLarge => 7,
        Kind::Timeout => 8,
        Kind::Conflict => 9,
        Kind::Stale => 10,
        Kind::TooLarge => 11,
        Kind::RateLimited => 12,
        Kind::Internal => 13,
        Kind::Unavailable => 14,
        Kind::NoSpace => 15,
        Kind::NotImplemented => 16,
    }
}

#[test]
fn every_kind_of_error_has_the_code_the_status_and_the_exit_code_that_users_know() {
    for (index, (kind, code, status, exit_code)) in TABLE.into_iter().enumerate() {
        assert_eq!(place(kind), index, "{code}");
        assert_eq!((kind.code(), kind.status()), (code, status));
        if let Some(exit_code) = exit_code {
            assert_eq!(kind.exit_code(), exit_code, "{code}");
        }
        // 0 is done, 2 is wrong usage, 101 and 130 are not for errors of ours.
        assert!((1..100).contains(&kind.exit_code()), "{code}");
        let error = Error::of_request(kind, "What happened.");
        let problem = serde_json::to_value(error.problem()).unwrap();
        assert_eq!((&problem["code"], &problem["status"]), (&code.into(), &status.into()));
        assert_eq!(problem["detail"], "What happened.");
    }
    let codes: BTreeSet<&str> = TABLE.iter().map(|(_, code, ..)| *code).collect();
    assert_eq!(codes.len(), TABLE.len());
}

#[test]
fn an_error_of_each_making_is_of_the_kind_that_its_name_says() {
    for (error, kind) in [
        (Error::invalid("field", "No."), Kind::Invalid),
        (Error::of_fields("No.", Vec::new()), Kind::Invalid),
        (Error::unauthenticated("No."), Kind::Unauthenticated),
        (Error::forbidden("No."), Kind::Forbidden),
        (Error::not_found("No."), Kind::NotFound),
        (Error::conflict("No."), Kind::Conflict),
        (Error::stale("No."), Kind::Stale),
        (Error::rate_limited("No.", 1), Kind::RateLimited),
        (Error::unavailable("No."), Kind::Unavailable),
        (Error::no_space(), Kind::NoSpace),
        (Error::internal("why"), Kind::Internal),
    ] {
        assert_eq!(error.kind(), kind);
        let told = format!("{error} {} {:?}", serde_json::to_string(&error.problem()).unwrap(), error.advice());
        assert!(!told.contains("why"), "{told}");
        assert_eq!(error.again().kind(), kind);
        assert!(std::error::Error::source(&error.again()).is_none());
    }
}
