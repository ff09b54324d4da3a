//! [`RequestOrigin`]: the client of a request, for audit events, mails and traces.

/// The client of a request. It is empty for the command line and for the daemon's own work.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestOrigin {
    pub ip: String,
    /// The client's `User-Agent`.
    pub user_agent: String,
    /// The client's `Accept-Language`, which chooses the language of mails.
    pub accept_language: String,
    /// The request's `traceparent` (W3C Trace Context).
    pub traceparent: String,
}

impl RequestOrigin {
    /// The empty origin of the command line and of the daemon's own work.
    pub fn none() -> Self {
        Self::default()
    }

    /// The trace id of [`RequestOrigin::traceparent`], 32 hexadecimal digits. Empty outside of a
    /// request.
    pub fn trace_id(&self) -> &str {
        // `00-<trace id>-<parent>-<flags>`
        self.traceparent.split('-').nth(1).unwrap_or_default()
    }
}
