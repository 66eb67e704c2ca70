-- SPDX-License-Identifier: Apache-2.0
-- wrk: requests made beforehand, a line each in the file named by REQUESTS: "METHOD<tab>PATH<tab>TOKEN<tab>BODY".
-- ORDER=random picks any; ORDER=once sends each once, in order.
local requests, n, at = {}, 0, 0
local once = os.getenv("ORDER") == "once"

function init(args)
   math.randomseed(529)
   for line in io.lines(os.getenv("REQUESTS")) do
      local method, path, token, body = line:match("^(.-)\t(.-)\t(.-)\t(.*)$")
      local headers = {}
      if token ~= "" then headers["Authorization"] = "Bearer " .. token end
      if body ~= "" then headers["Content-Type"] = "application/json" end
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

function done(summary, latency)
   local e = summary.errors
   io.write(string.format("RESULT requests=%d us=%d status=%d sockets=%d p50=%d p99=%d\n", summary.requests, summary.duration,
      e.status, e.connect + e.read + e.write + e.timeout, latency:percentile(50), latency:percentile(99)))
end
