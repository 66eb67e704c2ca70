-- SPDX-License-Identifier: Apache-2.0
-- wrk: RATE requests a second over all connections, evenly spaced. What fell behind by more than 100 ms is not made up.
local ffi = require("ffi")
ffi.cdef [[
   typedef struct { long s, ns; } moment;
   int clock_gettime(int clock, moment *ret);
]]
local at, gap, due = ffi.new("moment"), 1000 / tonumber(os.getenv("RATE")), nil

function delay()
   ffi.C.clock_gettime(1, at) -- CLOCK_MONOTONIC
   local now = tonumber(at.s) * 1000 + tonumber(at.ns) / 1e6
   due = math.max((due or now) + gap, now - 100)
   return math.max(0, math.floor(due - now + 0.5))
end
