-- SPDX-License-Identifier: Apache-2.0
-- wrk: requests made beforehand, a line each in the file named by REQUESTS: "METHOD<tab>PATH<tab>TOKEN<tab>BODY", and
-- <tab>"Name: value" of one more header if there is one. ORDER=random picks any; ORDER=once sends each once, in order.
-- RATE: so many a second, evenly spaced; else as fast as they are answered.
local requests, n, at = {}, 0, 0
local once = os.getenv("ORDER") == "once"

function init(args)
   math.randomseed(529)
   for line in io.lines(os.getenv("REQUESTS")) do
      local method, path, token, body = line:match("^(.-)\t(.-)\t(.-)\t([^\t]*)")
      local headers = {}
      if token ~= "" then headers["Authorization"] = "Bearer " .. token end
      if body ~= "" then headers["Content-Type"] = "application/json" end
      local name, value = line:match("\t([%w-]+): ([^\t]*)$")
      if name then headers[name] = value end
      n = n + 1
      requests[n] = wrk.format(method, path, headers, body ~= "" and body or nil)
   end
end

function request()
   if not once then return requests[math.random(n)] end
   at = at + 1
   if at > n then
      wrk.thread:stop()
      at = n
   end
   return requests[at]
end

if (os.getenv("RATE") or "") ~= "" then
   dofile("tests/bench/pace.lua")
end

function done(summary, latency)
   local e = summary.errors
   io.write(string.format("RESULT requests=%d us=%d status=%d sockets=%d p50=%d p99=%d bytes=%d\n", summary.requests, summary.duration,
      e.status, e.connect + e.read + e.write + e.timeout, latency:percentile(50), latency:percentile(99), summary.bytes))
end
