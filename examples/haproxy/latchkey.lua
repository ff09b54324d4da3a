-- Asks latchkey whether a request is allowed (GET /api/forward-auth). The application gets the
-- identity of the caller in headers `x-latchkey-*`.
--
-- In haproxy.cfg, write `lua-load latchkey.lua` under `global`, and `http-request lua.latchkey URL`
-- where a token is needed.

local NAMES = { "subject", "team", "project", "role", "scope" }

local function refuse(txn, status, challenge)
    local reply = txn:reply({ status = status })
    if challenge then
        reply:add_header("www-authenticate", challenge)
    end
    txn:done(reply)
end

core.register_action("latchkey", { "http-req" }, function(txn, url)
    -- Deletes headers of these names that the client sent: only latchkey may set them.
    for _, name in ipairs(NAMES) do
        txn.http:req_del_header("x-latchkey-" .. name)
    end
    local given = txn.http:req_get_headers()["authorization"]
    if not given or given[1] then
        return refuse(txn, 401, "Bearer") -- no token, or more than one
    end
    local answer = core.httpclient():get({
        url = url,
        headers = { ["authorization"] = { given[0] }, ["x-forwarded-for"] = { txn.f:src() } },
        timeout = 2000,
    })
    if not answer or answer.status ~= 200 then
        local status = answer and answer.status
        local challenge = answer and answer.headers and answer.headers["www-authenticate"]
        -- If the daemon or a store is down, the response is 503, never 401: after a 401, clients
        -- would delete their tokens.
        local is_refusal = status == 401 or status == 403
        return refuse(txn, is_refusal and status or 503, challenge and challenge[0])
    end
    for _, name in ipairs(NAMES) do
        local value = answer.headers["x-latchkey-" .. name]
        if value and value[0] ~= "" then
            txn.http:req_set_header("x-latchkey-" .. name, value[0])
        end
    end
    txn.http:req_del_header("authorization") -- the application does not need the token
end, 1)
