-- SPDX-License-Identifier: Apache-2.0
--
-- A database for each service; texts compare by their bytes. Run once, by the owner, when PostgreSQL is new.
CREATE DATABASE nuanxin_membership TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C';
CREATE DATABASE nuanxin_activity TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C';
CREATE DATABASE nuanxin_care TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C';
CREATE DATABASE nuanxin_stream TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C';
