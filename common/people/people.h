/* SPDX-License-Identifier: Apache-2.0
 *
 * What is known of persons whoever keeps them: which ID number, phone, bank account, name and date is one, and how a number
 * looks that is shown masked. Pure functions: no I/O, no clock.
 */
#pragma once

#include "common/base/str.h"

/* --- dates ---------------------------------------------------------------------------------------------- */

#define DATE_SIZE 11 /* "YYYY-MM-DD" and the NUL; so written, earlier days compare less */
/* Also "YYYY/M/D" as spreadsheets write it. Years 1900 to 2199. -EINVAL. */
int date_parse(struct str text, char ret_date[DATE_SIZE]) MUST_USE;
/* The day in China (UTC+8). */
void date_of(int64_t us, char out[DATE_SIZE]);
/* Whole years from one day to another, as birthdays are counted: who is born on 29 February is a year older on 1 March of
 * a year without that day. Negative before it. */
int date_years(const char *from, const char *to);

/* --- numbers of persons --------------------------------------------------------------------------------- */

#define ID_NUMBER_SIZE 19 /* 18 characters and the NUL */
/* 身份证号 after GB 11643-1999: 17 digits (region, date of birth, sequence) and the check character; a small x is
 * made large, spaces at the ends are dropped. today: "YYYY-MM-DD"; nobody is born later. -EINVAL. */
int id_number_parse(struct str text, const char *today, char ret_number[ID_NUMBER_SIZE]) MUST_USE;
char id_number_check_character(const char *digits17);
void id_number_mask(const char *number, char out[ID_NUMBER_SIZE]); /* "4****************X" */
void id_number_born(const char *number, char out[DATE_SIZE]);      /* the day of birth that it says */

#define PHONE_SIZE 12 /* 11 digits and the NUL */
/* A mobile number of the mainland: spaces, hyphens and a leading +86, 0086 or 86 are dropped. -EINVAL. */
int phone_parse(struct str text, char ret_phone[PHONE_SIZE]) MUST_USE;
void phone_mask(const char *phone, char out[PHONE_SIZE]); /* "138****5678" */

#define BANK_ACCOUNT_SIZE 20 /* 19 digits and the NUL */
/* A bank card's number after ISO/IEC 7812-1: 15 to 19 digits, the last of them the check digit; spaces and hyphens are
 * dropped. -EINVAL: it is none; -EBADMSG: the check digit is wrong. */
int bank_account_parse(struct str text, char ret_account[BANK_ACCOUNT_SIZE]) MUST_USE;
void bank_account_mask(const char *account, char out[BANK_ACCOUNT_SIZE]); /* "6222***********0123" */

/* The check digit of these digits (Luhn, ISO/IEC 7812-1, annex B). */
char luhn_digit(struct str digits);

/* --- names ---------------------------------------------------------------------------------------------- */

#define NAME_MAX_CHARACTERS 50
/* A name without the spaces around it (also U+3000); not empty, no control characters, not too long. Rare
 * characters and the dots of minority names are kept as they are. -EINVAL. */
int name_parse(struct str text, struct str *ret_name) MUST_USE;
