//! [`RequestOrigin`]: the client of a request, as the audit, mails and traces need it.

/// The client of a request. Empty for the command line, and for what the daemon does by itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestOrigin {
    /// The client's IP address.
    pub ip: String,
    /// The client's `User-Agent`.
    pub user_agent: String,
    /// The client's `Accept-Language`, which chooses the language of mails.
    pub accept_language: String,
    /// The request's `traceparent` (W3C Trace Context).
    pub traceparent: String,
}

impl RequestOrigin {
    /// Of the command line, and of what the daemon does by itself.
    pub fn none() -> Self {
        Self::default()
    }

    /// The trace id of [`RequestOrigin::traceparent`], 32 hexadecimal digits; empty outside of a request.
    pub fn trace_id(&self) -> &str {
        // `00-<trace id>-<parent>-<flags>`
        self.traceparent.split('-').nth(1).unwrap_or_default()
    }
}
