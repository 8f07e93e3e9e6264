/* Days of the calendar. */
#include "consensus/machine/oncall/calendar.h"

#define DAYS_OF_400_YEARS 146097

int64_t floor_div(int64_t number, int64_t divisor)
{
    int64_t quotient = number / divisor;
    return quotient - (number % divisor < 0 ? 1 : 0);
}

/* Years are counted from March, so that the leap day is their last. */
int64_t calendar_days(int64_t year, unsigned month, unsigned day)
{
    int64_t y = year - (month <= 2 ? 1 : 0);
    int64_t from_march = month > 2 ? month - 3 : month + 9;
    return 365 * y + floor_div(y, 4) - floor_div(y, 100) + floor_div(y, 400) + (153 * from_march + 2) / 5 + day - 1 -
           719468;
}

bool calendar_is_leap(int64_t year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

unsigned calendar_days_in_month(int64_t year, unsigned month)
{
    static const unsigned char days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return days[month - 1] + (month == 2 && calendar_is_leap(year) ? 1u : 0u);
}

int64_t calendar_year_of(int64_t at_s)
{
    int64_t days = floor_div(at_s, SECONDS_PER_DAY);
    int64_t year = 1970 + floor_div(days * 400, DAYS_OF_400_YEARS); /* off by one at most */
    while (calendar_days(year, 1, 1) > days) {
        year--;
    }
    while (calendar_days(year + 1, 1, 1) <= days) {
        year++;
    }
    return year;
}

unsigned calendar_weekday(int64_t days)
{
    return (unsigned)(days + 4 - 7 * floor_div(days + 4, 7)); /* 1970-01-01 was a Thursday */
}
