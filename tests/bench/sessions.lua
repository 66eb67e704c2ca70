-- SPDX-License-Identifier: Apache-2.0
-- wrk: sessions that are opened and ended: a line of the file named by REQUESTS opens one (as in requests.lua), and as soon
-- as its token is known it is ended. RATE counts both.
dofile("tests/bench/requests.lua")
local open, tokens = request, {}

function request()
   local token = table.remove(tokens)
   if not token then return open() end
   return wrk.format("DELETE", "/v1/sessions/current", {["Authorization"] = "Bearer " .. token})
end

function response(status, headers, body)
   local token = body:match('"token": ?"([^"]+)"')
   if token then tokens[#tokens + 1] = token end
end
