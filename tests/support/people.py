# SPDX-License-Identifier: Apache-2.0
"""Invented people for tests: a number gives a person with a valid ID number (GB 11643-1999)."""

_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)


def id_number(number):
    body = "430102%04d%02d%02d%03d" % (1950 + number // 336000 % 50, 1 + number // 28000 % 12, 1 + number // 1000 % 28, number % 1000)
    return body + "10X98765432"[sum(int(c) * w for c, w in zip(body, _WEIGHTS)) % 11]


def person(number, organization):
    return {"organization": organization, "name": "测试" + "甲乙丙丁戊己庚辛壬癸"[number % 10] + str(number), "idNumber": id_number(number),
            "phone": "13%09d" % number, "joinDate": "2026-01-01"}


def csv_of(people):
    rows = ["organization,name,id_number,phone,join_date"]
    rows += [",".join((p["organization"], p["name"], p["idNumber"], p["phone"], p["joinDate"])) for p in people]
    return ("\n".join(rows) + "\n").encode()


def bank_account(number):
    """With a right check digit (Luhn)."""
    digits = "622202%012d" % number
    total = sum(sum(divmod(int(c) * (2 - i % 2), 10)) for i, c in enumerate(reversed(digits)))
    return digits + str(-total % 10)
