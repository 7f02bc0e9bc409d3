-- What benches/http.bash lets wrk send: send, write (which is send, with a pause between an answer and the next request, so that 16
-- connections send 1,000 messages a second), list, known (which is list, for a client that has it), notifications or log-in,
-- for the lines "CONVERSATION USERNAME TOKEN" of a file, which take turns. A third argument is the number of answers after which it stops. stderr tells when it begins and
-- stops, the last line what came of it.

local message = '{"content": "The ferry is late again, so we shall meet at noon at the harbour"}'
local requests, turn, answers = {}, 0, 0

local function json(token)
    return { ["Authorization"] = token and "Bearer " .. token, ["Content-Type"] = "application/json" }
end

local make = {
    ["send"] = function(conversation, _, token)
        return wrk.format("POST", "/api/conversations/" .. conversation .. "/messages/", json(token), message)
    end,
    ["list"] = function(conversation, _, token)
        return wrk.format("GET", "/api/conversations/" .. conversation .. "/messages/", json(token))
    end,
    ["known"] = function(conversation, _, token)
        local headers = json(token)
        headers["If-None-Match"] = "*"
        return wrk.format("GET", "/api/conversations/" .. conversation .. "/messages/", headers)
    end,
    ["notifications"] = function(_, _, token)
        return wrk.format("GET", "/api/notifications/", json(token))
    end,
    ["log-in"] = function(_, username)
        local body = '{"username": "' .. username .. '", "password": "correct horse battery"}'
        return wrk.format("POST", "/api/token/", json(), body)
    end,
}

make["write"] = make["send"]

function init(arguments)
    if arguments[1] == "write" then
        function delay()
            return 15
        end
    end
    for line in io.lines(arguments[2]) do
        requests[#requests + 1] = make[arguments[1]](line:match("^(%S+) (%S+) (%S+)$"))
    end
    local enough = tonumber(arguments[3])
    if enough then -- otherwise wrk need not call this
        function response()
            answers = answers + 1
            if answers == enough then
                wrk.thread:stop()
                io.stderr:write("enough\n")
            end
        end
    end
    io.stderr:write("ready\n")
end

function request()
    turn = turn % #requests + 1
    return requests[turn]
end

function done(summary, latency)
    local errors = summary.errors
    io.write(string.format("done %d %d %d %d %d\n", summary.requests, summary.duration, latency:percentile(99),
        errors.status, errors.connect + errors.read + errors.write + errors.timeout))
end
