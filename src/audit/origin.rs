//! [`RequestOrigin`]: the client of a request, for audit events, mails and traces.

/// The client of a request. All fields are empty if the command line or the daemon itself does the
/// work.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestOrigin {
    pub ip: String,
    /// The client's `User-Agent`.
    pub user_agent: String,
    /// The client's `Accept-Language`. It selects the language of mails.
    pub accept_language: String,
    /// The request's `traceparent` (W3C Trace Context).
    pub traceparent: String,
}

impl RequestOrigin {
    /// The empty origin, for work of the command line and of the daemon itself.
    pub fn none() -> Self {
        Self::default()
    }

    /// The trace id from [`RequestOrigin::traceparent`]: 32 hexadecimal digits. It is empty if the
    /// work has no request.
    pub fn trace_id(&self) -> &str {
        // The header has the form `00-<trace id>-<parent>-<flags>`.
        self.traceparent.split('-').nth(1).unwrap_or_default()
    }
}
