# SPDX-License-Identifier: Apache-2.0
"""What real associations reported of their programmes in a year: money in fen. The shipped programmes must come to it."""

# Hospital-care subsidy: ¥100 a day, at most 90 days in an insurance year. Spread over the recipients as whole days, it is 14 days
# for 12,600 of them and 13 for 400.
HOSPITAL_CARE = {"recipients": 13_000, "paid": 1_816_000_000, "days": {14: 12_600, 13: 400}}

# Health and accident insurance: a yearly policy, with a city where more was paid out than in.
INSURANCE = {"insured": 85_000, "premium": 15_000, "loss_ratio_basis_points": 10_880}

# Loan interest subsidy: loans of at most ¥50,000 at most 5 % for a year; 228 projects had ¥160 million of loans.
LOAN_INTEREST = {"projects": 228, "loans": 16_000_000_000, "subsidy": 750_000_000}

# A province's budget, and what of it went on to cities, counties and beneficiaries.
BUDGET = {"granted": 5_750_000_000, "passed_on": 5_166_000_000}
